"""Manifests from files, directories and stdin."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kaas.api import load
from kaas.api.cluster import Cluster
from kaas.api.constants import API_VERSION
from kaas.api.load import ManifestError
from kaas.api.model import Resource
from kaas.api.release import Release
from kaas.api.site import Site
from kaas.cli.exits import CliError, ExitCode

Object = dict[str, Any]
M = TypeVar("M", bound=Resource)

STDIN = Path("-")
SUFFIXES = (".yaml", ".yml", ".json")
# What may stand beside our own kinds, in the order in which all of them can be applied.
OTHERS = {("v1", "Namespace"): 0, ("v1", "Secret"): 1, ("v1", "ConfigMap"): 2}
_OURS = ("Site", "Release", "NodeRepairTemplate", "Rollout", "Addon", "Cluster")
ORDER = {**OTHERS, **{(API_VERSION, kind): place for place, kind in enumerate(_OURS, start=len(OTHERS))}}


@dataclass(frozen=True)
class Document:
    """One object of a file. `place` begins messages about it."""

    place: str
    object: Object

    @property
    def group_kind(self) -> tuple[str, str]:
        """API version and kind."""
        return self.object["apiVersion"], self.object["kind"]


@dataclass(frozen=True)
class Manifests:
    """The objects of our own kinds, checked without a server."""

    clusters: Sequence[Cluster]
    sites: Sequence[Site]
    releases: Sequence[Release]


def read(files: Iterable[Path]) -> list[Document]:
    """Every object of the files; of a directory, all its YAML and JSON files. CliError when one cannot be read."""
    faults: list[str] = []
    found: list[Document] = []
    for source, text in texts(files):
        try:
            found.extend(_known(source, text))
        except ManifestError as error:
            faults.extend(error.faults)
    if faults:
        raise wrong(faults)
    if not found:
        raise wrong(["there is nothing in the files: write a Cluster (examples are in `examples/`)"])
    return found


def checked(found: Iterable[Document]) -> Manifests:
    """Our own kinds as models. CliError with every fault of every object."""
    models: list[Resource] = []
    faults: list[str] = []
    for document in found:
        if document.group_kind in OTHERS:
            continue
        try:
            models.append(load.parse(document.object, document.place))
        except ManifestError as error:
            faults.extend(error.faults)
    if faults:
        raise wrong(faults)
    return Manifests(_of(models, Cluster), _of(models, Site), _of(models, Release))


def wrong(faults: Iterable[str]) -> CliError:
    """The error for manifests: one line a fault."""
    return CliError("\n      ".join(faults), ExitCode.WRONG_INPUT)


def _of(models: Iterable[Resource], kind: type[M]) -> list[M]:
    return [m for m in models if isinstance(m, kind)]


def texts(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    """Where each text is from, and the text; of a directory those of its YAML and JSON files. Raises OSError."""
    for file in files:
        if file == STDIN:
            yield "stdin", sys.stdin.read()
        elif file.is_dir():
            yield from ((str(f), f.read_text()) for f in sorted(file.glob("*")) if f.suffix in SUFFIXES)
        else:
            yield str(file), file.read_text()


def _known(source: str, text: str) -> Iterator[Document]:
    faults: list[str] = []
    for place, content in load.documents(text, source):
        fault = _fault(content)
        if fault:
            faults.append(f"{place}: {fault}")
        else:
            yield Document(place, content)
    if faults:
        raise ManifestError(faults)


def _fault(content: Any) -> str | None:
    """What keeps a document from being one of ours, or of those that may stand beside them."""
    kinds = ", ".join(kind for _, kind in ORDER)
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        return f"kind: is required: write one of {kinds}"
    api_version, kind = content.get("apiVersion"), content["kind"]
    if (api_version, kind) in ORDER:
        meta = content.get("metadata")
        named = isinstance(meta, dict) and isinstance(meta.get("name"), str) and meta["name"]
        return None if named else f"{kind}: metadata.name: is required: set it"
    versions = [v for v, k in ORDER if k == kind]
    if versions:
        return f"{kind}: apiVersion: is {api_version!r}: write {versions[0]}"
    return f"kind: {kind!r} is not for kaas: write one of {kinds}, and apply it with kubectl"
