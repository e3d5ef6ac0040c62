"""The wheel carries templates and CRDs: installed into an empty environment, far from the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

from kaas.api.crd import crds
from kaas.clusters.classes import class_revision, providers

CHECKOUT = Path(__file__).parents[2]
SEEN = """
import json, kaas
from kaas import data
from kaas.api.crd import files
from kaas.clusters.classes import class_revision, providers
from kaas.clusters import render
render._template()
print(json.dumps({
    "package": kaas.__file__,
    "folders": {n: str(data.folder(n)) for n in ("clusterclass", "providers", "crds", "credentials", "volumes")},
    "classes": {p: class_revision(p).name for p in providers()},
    "crds": sorted(p.name for p in data.folder("crds").iterdir()),
    "fresh": {p.name: p.read_text() for p in data.folder("crds").iterdir()} == files(),
}))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built with what is installed here: no network."""
    out = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(CHECKOUT)]
    subprocess.run(build, check=True, capture_output=True)
    (found,) = out.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel alone; dependencies are those of this one, the checkout left out."""
    place = tmp_path_factory.mktemp("environment")
    venv.create(place, with_pip=False, symlinks=True)
    (packages,) = place.glob("lib/python*/site-packages")
    # pip as the new environment's own, which sees nothing of this one: else it would take the checkout out of here.
    pip = [sys.executable, "-m", "pip", "--python", str(place / "bin" / "python")]
    subprocess.run([*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel)], check=True)
    # A .pth is not read for what it adds in turn: the editable checkout is not on the path.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return place


def run(environment: Path, *arguments: str) -> str:
    done = subprocess.run(
        [environment / "bin" / "python", "-P", *arguments], cwd=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def seen(environment: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(environment, "-c", SEEN))
    return found


def test_nothing_comes_from_the_checkout(seen: dict[str, Any], environment: Path) -> None:
    for path in (seen["package"], *seen["folders"].values()):
        assert Path(path).is_relative_to(environment)
        assert not Path(path).is_relative_to(CHECKOUT)


def test_templates_are_those_of_the_checkout(seen: dict[str, Any]) -> None:
    assert seen["classes"] == {p: class_revision(p).name for p in providers()}


def test_crds_are_those_of_the_checkout(seen: dict[str, Any]) -> None:
    assert seen["crds"] == sorted(f"{crd['metadata']['name']}.yaml" for crd in crds())
    assert seen["fresh"]


def test_wheel_has_no_tests_and_no_examples(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"kaas", "kaas_lab", f"kaas-{wheel.name.split('-')[1]}.dist-info"}
    assert any(n.startswith("kaas_lab/") and n.endswith("go.sum") for n in names), "the lab builds from the wheel too"


def test_command_renders_and_prints_crds(environment: Path) -> None:
    kaas = str(environment / "bin" / "kaas")
    examples = [str(CHECKOUT / "examples" / name) for name in ("releases.yaml", "site-dev.yaml", "team-dev.yaml")]
    rendered = run(environment, kaas, "render", *(word for file in examples for word in ("-f", file)))
    assert class_revision("dev").name in rendered
    assert "kind: CustomResourceDefinition" in run(environment, kaas, "crds")
