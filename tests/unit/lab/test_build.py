"""Building with a toolchain that is played: what is called, what is kept, and what is said when it fails."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from kaas_lab import build, manifests, processes, programs
from kaas_lab.layout import Layout
from kaas_lab.programs import PROGRAMS, NotBuilt
from kaas_lab.reporter import Reporter
from rich.console import Console

GO = """#!{python}
import json, pathlib, sys
words = sys.argv[1:]
with open({calls!r}, "a") as calls:
    print(*words, file=calls)
if words[0] == "mod":
    print(json.dumps({{"Dir": {modules!r}}}))
elif "fail" in pathlib.Path({calls!r}).with_name("mode").read_text():
    said = ["internal/bytealg", "go: downloading example.org/x v1.0.0", "# example.org/y", "y.go:3:1: undefined: z"]
    print(*said, sep="\\n", file=sys.stderr)
    sys.exit(1)
else:
    pathlib.Path(words[words.index("-o") + 1]).write_text("binary")
"""


class Toolchain:
    """A directory as Go is installed in, whose `go` notes how it is called."""

    def __init__(self, root: Path) -> None:
        self.bin = root / "go/bin"
        self.bin.mkdir(parents=True)
        self.calls_file = root / "calls"
        self.mode = root / "mode"
        self.mode.write_text("")
        (root / "go/VERSION").write_text("go1.26.99\ntime today\n")
        go = self.bin / "go"
        go.write_text(GO.format(python=sys.executable, calls=str(self.calls_file), modules=str(root / "modules")))
        go.chmod(0o755)

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []


@pytest.fixture
def toolchain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toolchain:
    made = Toolchain(tmp_path)
    monkeypatch.setenv("PATH", str(made.bin))
    monkeypatch.setenv("KAAS_LAB_CACHE", str(tmp_path / "cache"))
    return made


def ensure(tmp_path: Path, part: str = "bare") -> dict[str, Path]:
    return build.ensure([part], Layout(tmp_path / "state"), Reporter(Console(quiet=True)))


def test_everything_is_built_once(toolchain: Toolchain, tmp_path: Path) -> None:
    paths = ensure(tmp_path)
    assert set(paths) == set(programs.PARTS["bare"])
    assert all(path.read_text() == "binary" and "go1.26.99" in path.name for path in paths.values())
    calls = toolchain.calls
    assert len(calls) == len(paths)
    assert ensure(tmp_path) == paths
    assert toolchain.calls == calls


def test_only_what_is_pinned_anew_is_built_again(
    toolchain: Toolchain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(tmp_path)
    before = len(toolchain.calls)
    shutil.copytree(programs.MODULES, tmp_path / "pins")
    monkeypatch.setattr(programs, "MODULES", tmp_path / "pins")
    with (tmp_path / "pins/etcd/go.sum").open("a") as sums:
        sums.write("example.org/x v1.0.0 h1:new\n")
    ensure(tmp_path)
    assert [call.split()[-1] for call in toolchain.calls[before:]] == [PROGRAMS["etcd"].package]


def test_a_failure_tells_what_the_compiler_said(toolchain: Toolchain, tmp_path: Path) -> None:
    toolchain.mode.write_text("fail")
    with pytest.raises(build.BuildFailed, match=r"y\.go:3:1: undefined: z") as failure:
        ensure(tmp_path)
    assert "downloading" not in str(failure.value)
    assert len(toolchain.calls) == 1
    assert processes.find(tmp_path / "state") == {}


def test_without_go_it_is_said(toolchain: Toolchain, tmp_path: Path) -> None:
    (toolchain.bin / "go").unlink()
    with pytest.raises(build.BuildFailed, match="Go is not on PATH"):
        ensure(tmp_path)
    with pytest.raises(NotBuilt, match="kaas lab build"):
        build.binary("etcd")


def test_without_go_what_was_built_will_do(toolchain: Toolchain, tmp_path: Path) -> None:
    paths = ensure(tmp_path)
    (toolchain.bin / "go").unlink()
    assert ensure(tmp_path) == paths


def test_a_patch_that_does_not_fit_is_refused(toolchain: Toolchain, tmp_path: Path) -> None:
    server = tmp_path / "modules/pkg/webhook/server.go"
    server.parent.mkdir(parents=True)
    server.write_text("package webhook\n")
    manifest = tmp_path / f"cache/manifests/capi-core-{PROGRAMS['capi-core'].pin}.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text("[]")
    with pytest.raises(build.BuildFailed, match=r"server\.go has not 2 times"):
        ensure(tmp_path, "management")


def test_every_part_names_known_programs() -> None:
    assert {name for names in programs.PARTS.values() for name in names} == set(PROGRAMS)
    assert set(manifests.SOURCES) <= set(PROGRAMS)


def test_pins_carry_no_address() -> None:
    for file in programs.MODULES.rglob("go.*"):
        assert "://" not in file.read_text()
