"""Class revisions: named by their content."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kaas import data
from kaas.clusters.classes import UnknownProviderError, class_revision, providers, variable_names
from tests import golden_files


@pytest.mark.parametrize("provider", providers())
def test_revision_is_the_one_reviewed(provider: str) -> None:
    """Another name is another revision: new Clusters get it. Whoever changes the class by accident sees it here."""
    revision = class_revision(provider)
    golden_files.check(f"class-{provider}", {"name": revision.name}, *revision.objects)


def test_there_are_two_providers() -> None:
    assert providers() == ["dev", "openstack"]


def test_unknown_provider_lists_the_known() -> None:
    with pytest.raises(UnknownProviderError, match="'vsphere': use one of dev, openstack"):
        class_revision("vsphere")


@pytest.mark.parametrize("provider", providers())
def test_every_reference_is_to_an_object_of_the_revision(provider: str) -> None:
    revision = class_revision(provider)
    there = {(o["apiVersion"], o["kind"], o["metadata"]["name"]) for o in revision.objects}
    found = list(_references(revision.cluster_class))
    assert len(found) == 5
    assert {(r["apiVersion"], r["kind"], r["name"]) for r in found} <= there
    assert revision.objects[-1] is revision.cluster_class
    assert {o["metadata"]["namespace"] for o in revision.objects} == {"kaas-system"}


def _references(value: Any) -> Any:
    if isinstance(value, dict):
        if "templateRef" in value:
            yield value["templateRef"]
        for child in value.values():
            yield from _references(child)
    elif isinstance(value, list):
        for child in value:
            yield from _references(child)


@pytest.mark.parametrize("provider", providers())
def test_names_of_variables_and_patches_are_unique(provider: str) -> None:
    spec = class_revision(provider).cluster_class["spec"]
    for part in ("variables", "patches"):
        names = [x["name"] for x in spec[part]]
        assert len(names) == len(set(names))
    assert variable_names(class_revision(provider).cluster_class) == {v["name"] for v in spec["variables"]}


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The templates in a folder of their own, which a test may change."""
    for name in ("clusterclass", "providers"):
        _copy(data.folder(name), tmp_path / name)
    monkeypatch.setattr(data, "folder", lambda name: tmp_path / name)
    return tmp_path


def _copy(origin: Path, to: Path) -> None:
    for file in origin.rglob("*.yaml"):
        place = to / file.relative_to(origin)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(file.read_text())


def test_same_content_elsewhere_is_the_same_revision(copied: Path) -> None:
    assert class_revision.__wrapped__("openstack") == class_revision("openstack")


@pytest.mark.parametrize(
    "file",
    [
        "clusterclass/class.yaml",
        "clusterclass/templates/control-plane.yaml",
        "clusterclass/features/node-registration.yaml",
        "providers/openstack/templates/infrastructure-cluster.yaml",
        "providers/openstack/features/machines.yaml",
    ],
)
def test_other_content_is_another_revision_of_its_provider(copied: Path, file: str) -> None:
    path = copied / file
    content = yaml.safe_load(path.read_text())
    first = next(iter(content))
    content[first] = {"changed": True} if isinstance(content[first], dict) else []
    path.write_text(yaml.safe_dump(content))
    assert class_revision.__wrapped__("openstack").name != class_revision("openstack").name
    same = class_revision.__wrapped__("dev").name == class_revision("dev").name
    assert same is file.startswith("providers/openstack")


def test_comments_do_not_make_a_revision(copied: Path) -> None:
    path = copied / "clusterclass/class.yaml"
    path.write_text("# another word\n" + path.read_text())
    assert class_revision.__wrapped__("dev").name == class_revision("dev").name
