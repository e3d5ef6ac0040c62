"""Builds what a lab runs with the Go toolchain, once: a warm run starts no process at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from kaas_lab import manifests, processes
from kaas_lab.layout import Layout, cache
from kaas_lab.programs import (
    FLAGS,
    MODULES,
    PATCHES,
    NotBuilt,
    Patch,
    Program,
    binary,
    built,
    needed,
    target,
    toolchain,
)
from kaas_lab.reporter import Reporter, Step

__all__ = ["BuildFailed", "NotBuilt", "binary", "ensure"]

# GOGC: the compiler collects less garbage. Measured on etcd: 13 % less processor time.
_ENVIRONMENT = {"GOWORK": "off", "GO111MODULE": "on", "GOGC": "400"}

OLD = 14 * 86400.0  # seconds after which a binary of another pin, unused, is removed: each set is 0.6 GB
_NOISE = re.compile(r"^([\w.~/-]+|go: downloading .*)$")  # names of compiled packages and downloads


class BuildFailed(Exception):
    """Go is missing or could not build a program; the message carries what it said last."""


def ensure(parts: Iterable[str], layout: Layout, reporter: Reporter) -> dict[str, Path]:
    """Build what the parts need and is not there; returns each program's path by its name.

    parts: keys of `programs.PARTS`. The compiler runs as a process of the lab at `layout`, so that `down` ends it too.
    Raises BuildFailed. Two labs that build at once take turns.
    """
    wanted = needed(parts)
    if _missing(wanted):
        with _turn(reporter):
            _build(_missing(wanted), layout, reporter)  # the other may have built some meanwhile
    paths = {program.name: binary(program.name) for program in wanted}
    for path in paths.values():
        os.utime(path)
    return paths


def _missing(wanted: list[Program]) -> list[Program]:
    return [p for p in wanted if built(p) is None or not manifests.present(p)]


@contextmanager
def _turn(reporter: Reporter) -> Iterator[None]:
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "build.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            reporter.say("another lab is building: waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(missing: list[Program], layout: Layout, reporter: Reporter) -> None:
    go = toolchain()
    if missing and go is None:
        raise BuildFailed("Go is not on PATH: the lab builds its programs with Go 1.26 or newer, see https://go.dev/dl")
    with reporter.steps("build", [p.weight for p in missing]) as steps:
        for program in missing:
            with steps.step(program.name, program.weight) as step:
                _build_one(program, target(program, str(go)), layout, step)


def _build_one(program: Program, path: Path, layout: Layout, step: Step) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache(), prefix="build-") as directory:
        source = Path(directory)
        for file in ("go.mod", "go.sum"):  # -mod=mod may write them
            shutil.copyfile(MODULES / program.module / file, source / file)
        manifests.collect(program, lambda module: module_directory(source, module))
        for number, patch in enumerate(program.patches):
            _patch(patch, source, f"patched{number}")
        if not path.exists():
            _compile(program, source, path, layout, step)
    _prune(program.name, path)


def _compile(program: Program, source: Path, path: Path, layout: Layout, step: Step) -> None:
    made = source / program.name
    log = layout.logs / f"build-{program.name}.log"
    log.unlink(missing_ok=True)
    argv: list[str | Path] = ["go", "build", "-v", *FLAGS, f"-ldflags={program.ldflags}", "-o", made, program.package]
    process = processes.spawn(layout.state, f"build {program.name}", argv, log=log, cwd=source, env=_ENVIRONMENT)
    while process.poll() is None:
        step.detail(processes.tail(log, 1).strip())
        time.sleep(0.1)
    if process.returncode != 0:
        raise BuildFailed(f"{program.name} did not build; the end of {log}:\n{_complaint(log)}")
    made.replace(path)


def _complaint(log: Path) -> str:
    lines = log.read_text(errors="replace").splitlines()
    return "\n".join([line for line in lines if not _NOISE.match(line)][-processes.LOG_TAIL_LINES :])


def module_directory(source: Path, module: str) -> Path:
    """Give the place in the module cache of a module that the `go.mod` in `source` requires; download it if needed."""
    done = subprocess.run(  # noqa: S603 - fixed words
        ["go", "mod", "download", "-json", module],  # noqa: S607 - the user's Go
        cwd=source,
        env={**os.environ, **_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BuildFailed(f"module {module} cannot be downloaded:\n{done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


def _patch(patch: Patch, source: Path, name: str) -> None:
    """Copy a module into `source`, change it, and have the build take the copy."""
    copy = source / name
    _copy_tree(module_directory(source, patch.module), copy)
    for change in patch.substitutions:
        file = copy / change.file
        text = file.read_text()
        if text.count(change.old) != change.count:
            raise BuildFailed(
                f"{patch.module}: {change.file} has not {change.count} times {change.old!r}: adapt the patch"
            )
        file.write_text(text.replace(change.old, change.new))
    for added, place in patch.files.items():
        shutil.copyfile(PATCHES / added, copy / place)
    with (source / "go.mod").open("a") as out:
        out.write(f"\nreplace {patch.module} => ./{name}\n")


def _copy_tree(origin: Path, to: Path) -> None:
    """Copy files without their modes: the module cache is read-only."""
    for directory, _, files in os.walk(origin):
        place = to / Path(directory).relative_to(origin)
        place.mkdir(parents=True)
        for file in files:
            shutil.copyfile(Path(directory) / file, place / file)


def _prune(name: str, keep: Path) -> None:
    pattern = re.compile(rf"{re.escape(name)}-[0-9a-f]{{12}}-go")
    for path in keep.parent.iterdir():
        if path != keep and pattern.match(path.name) and time.time() - path.stat().st_mtime > OLD:
            path.unlink(missing_ok=True)
