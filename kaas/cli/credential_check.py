"""`kaas credentials check`: Secrets of files, judged as the webhook judges them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kaas.api import load
from kaas.api.load import ManifestError
from kaas.cli.credential_policy import policy
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.manifests import STDIN, SUFFIXES
from kaas.cli.output import console, emit
from kaas.cli.settings import Settings
from kaas.credentials.secrets.check import check as judged
from kaas.credentials.secrets.check import is_ours
from kaas.credentials.secrets.finding import Finding, denied
from kaas.credentials.terms import TYPES

MARKS = {"deny": "✘", "warn": "!"}


@dataclass(frozen=True, slots=True, repr=False)
class Found:
    """A Secret of our types and where it stands."""

    place: str
    secret: dict[str, Any]

    @property
    def name(self) -> str:
        """Namespace and name, as far as it says them."""
        meta = self.secret.get("metadata")
        meta = meta if isinstance(meta, dict) else {}
        name = str(meta.get("name") or meta.get("generateName") or "(no name)")
        return f"{meta['namespace']}/{name}" if meta.get("namespace") else name


def check(settings: Settings, files: Sequence[Path], *, strict: bool, decided: str) -> int:
    """Print what is wrong with the files' Secrets; the exit code."""
    accepted = policy(decided)
    secrets = [found for place, content in _documents(files) for found in _secrets(place, content)]
    if not secrets:
        raise CliError(f"there is no Secret of type {' or '.join(TYPES)} in the files", ExitCode.WRONG_INPUT)
    results = [(found, judged(found.secret, accepted)) for found in secrets]
    if settings.output is not None:
        emit([_data(found, findings) for found, findings in results], settings.output)
    else:
        show(settings, results)
    failed = any(denied(findings) or (strict and findings) for _, findings in results)
    return ExitCode.FAILED if failed else ExitCode.DONE


def show(settings: Settings, results: Iterable[tuple[Found, Sequence[Finding]]], *, stderr: bool = False) -> None:
    """Print findings for people."""
    screen = console(settings, stderr=stderr)
    for found, findings in results:
        screen.print(f"{found.place}: Secret {found.name}: {_summary(findings)}", markup=False)
        for f in findings:
            screen.print(f"  {MARKS[f.severity]} {f.key}: {f.message}", markup=False)


def _summary(findings: Sequence[Finding]) -> str:
    if not findings:
        return "right"
    return "would be refused" if denied(findings) else "would be accepted with warnings"


def _data(found: Found, findings: Iterable[Finding]) -> dict[str, Any]:
    said = [{"severity": f.severity, "key": f.key, "message": f.message, "rule": f.rule} for f in findings]
    return {"place": found.place, "name": found.name, "findings": said}


def _documents(files: Iterable[Path]) -> Iterator[tuple[str, Any]]:
    for source, text in _texts(files):
        try:
            yield from load.documents(text, source)
        except ManifestError as error:
            # What the parser says may quote a value.
            mark = getattr(error.__cause__, "problem_mark", None)
            line = f", line {mark.line + 1}" if mark else ""
            message = f"{source}{line}: is not YAML: correct it, or try `kubectl apply --dry-run=client`"
            raise CliError(message, ExitCode.WRONG_INPUT) from None


def _texts(files: Iterable[Path]) -> Iterator[tuple[str, str]]:
    for file in files:
        if file == STDIN:
            yield "stdin", sys.stdin.read()
        elif file.is_dir():
            yield from ((str(f), _text(f)) for f in sorted(file.rglob("*")) if f.suffix in SUFFIXES and f.is_file())
        else:
            yield str(file), _text(file)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError:
        raise CliError(f"{file}: is not UTF-8 text: save it as such", ExitCode.WRONG_INPUT) from None


def _secrets(place: str, content: Any) -> Iterator[Found]:
    """Secrets of our types in a document, those of a List included."""
    if not isinstance(content, dict):
        return
    if isinstance(content.get("items"), list):
        for number, item in enumerate(content["items"], start=1):
            yield from _secrets(f"{place}: item {number}", item)
    elif content.get("kind") == "Secret" and is_ours(content):
        yield Found(place, content)
