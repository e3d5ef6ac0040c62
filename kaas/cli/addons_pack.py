"""`kaas addons pack`: manifests become the ConfigMap of one version of an add-on."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from kaas.addons.manifests import MAX_SIZE, Bundle, Problem, bundle
from kaas.api.constants import API_VERSION, SYSTEM_NAMESPACE
from kaas.api.load import ManifestError, parse
from kaas.cli import manifests
from kaas.cli.addons_scopes import without_namespace
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.output import PIPE_WIDTH, Object, console
from kaas.cli.settings import Settings
from kaas.kube.objects import ref_of

_NO_KEY: Final = re.compile(r"[^-._a-zA-Z0-9]")
"""What a key of a ConfigMap may not have."""
_LONGEST_KEY: Final = 200
"""Characters of a file's name that are taken for a key, which may have 253."""


class _Blocks(yaml.CSafeDumper):
    """Writes text of several lines as it is, where YAML can."""


def _text(dumper: Any, text: str) -> Any:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Blocks.add_representer(str, _text)


def pack(settings: Settings, name: str, version: str, files: Sequence[Path], output: Path | None) -> None:
    """Print the ConfigMap, or write it into a file, and say what it has. CliError for what the controller refuses."""
    _check_names(name, version)
    found = config_map(name, version, _read(files))
    try:
        has = bundle(found["data"], str(ref_of(found)))
    except Problem as problem:
        raise CliError(str(problem), ExitCode.WRONG_INPUT) from problem
    if faults := list(without_namespace(has)):
        raise manifests.wrong(faults)
    text = as_yaml(found)
    if output is None:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
    for line in summary(found, has, name, version):
        console(settings, stderr=True).print(line, markup=False)


def config_map(name: str, version: str, texts: Iterable[tuple[str, str]]) -> Object:
    """The ConfigMap of a version. texts: file names and contents, in the order in which they are to be applied.

    Raises CliError when they do not fit.
    """
    data = keyed(list(texts))
    called, size = f"{name}-{version}", sum(len(text.encode()) for text in data.values())
    if size > MAX_SIZE:
        words = f"the files have {size:,} bytes, and a ConfigMap holds {MAX_SIZE:,}: make two add-ons of them"
        raise CliError(f"ConfigMap {SYSTEM_NAMESPACE}/{called}: {words}", ExitCode.WRONG_INPUT)
    meta = {"name": called, "namespace": SYSTEM_NAMESPACE}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True, "data": data}


def keyed(texts: Sequence[tuple[str, str]]) -> Mapping[str, str]:
    """Contents by keys whose order is theirs: names of files, with numbers before them where the names do not do."""
    names = [_NO_KEY.sub("-", Path(name).name)[-_LONGEST_KEY:].lstrip(".") or "manifests.yaml" for name, _ in texts]
    if names != sorted(set(names)):
        width = len(str(len(names)))
        names = [f"{number:0{width}}-{name}" for number, name in enumerate(names, start=1)]
    return dict(zip(names, (text for _, text in texts), strict=True))


def as_yaml(found: Object) -> str:
    """As it is applied, to be read by people too."""
    return yaml.dump(found, Dumper=_Blocks, sort_keys=False, width=PIPE_WIDTH, allow_unicode=True)


def summary(found: Object, has: Bundle, name: str, version: str) -> Iterator[str]:
    """What it has, and what is to be written into the Addon."""
    kinds = Counter(obj["kind"] for obj in has.objects)
    objects = f"{len(has.objects)} object{'s' if len(has.objects) > 1 else ''}"
    yield f"{ref_of(found)}: {objects} ({', '.join(f'{number} {kind}' for kind, number in kinds.items())})"
    yield f"SHA-256 {has.digest}"
    yield f"apply it (`kaas apply -f`, `kubectl apply --server-side -f`), then add to spec.versions of Addon {name}:"
    yield f"  - version: {version}"
    yield f"    manifests: {{configMap: {found['metadata']['name']}}}"


def _check_names(name: str, version: str) -> None:
    """CliError unless an Addon could have this name and this version, in the words that it would be refused with."""
    versions = [{"version": version, "manifests": {"configMap": "any"}}]
    try:
        parse(
            {"apiVersion": API_VERSION, "kind": "Addon", "metadata": {"name": name}, "spec": {"versions": versions}},
            "addons pack",
        )
    except ManifestError as error:
        raise manifests.wrong(error.faults) from error


def _read(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    try:
        for source, text in manifests.texts(files):
            yield ("manifests.yaml" if source == "stdin" else source), text
    except UnicodeDecodeError as error:
        raise CliError("-f: a file is no text in UTF-8: leave it out", ExitCode.WRONG_INPUT) from error
