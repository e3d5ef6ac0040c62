"""`kaas credentials create`: a Secret is made, checked, and only then printed or applied."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from kaas.cli.credential_check import Found, show
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.manifests import STDIN
from kaas.cli.output import console, documents, emit
from kaas.cli.settings import Settings
from kaas.credentials.secrets.check import check
from kaas.credentials.secrets.finding import denied
from kaas.credentials.terms import AWS_TYPE, GCP_TYPE

Provider = Literal["aws", "gcp"]
Values = Mapping[str, bytes]

TYPES: Final[Mapping[Provider, str]] = {"aws": AWS_TYPE, "gcp": GCP_TYPE}
_NAME: Final = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")  # RFC 1123 subdomain, as the API server


def create(settings: Settings, name: str, provider: Provider, values: Values, *, apply: bool) -> int:
    """Print a Secret of these values, or apply it; nothing is printed of one that would be refused.

    Returns the exit code. CliError when the name is none.
    """
    secret = made(name, settings.namespace, provider, values)
    findings = check(secret)
    if findings:
        show(settings, [(Found("made", secret), findings)], stderr=True)
    if denied(findings):
        return ExitCode.FAILED
    if apply:
        _apply(settings, secret)
    elif settings.output is not None:
        emit(secret, settings.output)
    else:
        sys.stdout.write(documents([secret]))
    return ExitCode.DONE


def made(name: str, namespace: str | None, provider: Provider, values: Values) -> dict[str, Any]:
    """The Secret. CliError when the name is none."""
    if not _NAME.fullmatch(name):
        message = f"Secret {name!r}: is no name: use lower-case letters, digits, hyphens and dots"
        raise CliError(message, ExitCode.WRONG_INPUT)
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    data = {key: base64.b64encode(value).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": TYPES[provider], "data": data}


def content(file: Path) -> bytes:
    """Bytes of a file, or of stdin for `-`."""
    return sys.stdin.buffer.read() if file == STDIN else file.expanduser().read_bytes()


def one_of(sources: Mapping[str, object]) -> str:
    """Name of the one source that is given. CliError when it is none or several."""
    given = [name for name, value in sources.items() if value]
    if len(given) == 1:
        return given[0]
    names = ", ".join(sources)
    message = f"{' and '.join(given)} exclude each other: give one" if given else f"where from? give one of {names}"
    raise CliError(message, ExitCode.WRONG_INPUT)


def _apply(settings: Settings, secret: dict[str, Any]) -> None:
    from kaas.cli.session import run, session  # noqa: PLC0415 - slow, and not needed to print

    async def applied() -> str:
        async with session(settings) as connected:
            metadata = {**secret["metadata"], "namespace": connected.namespace}
            await connected.write({**secret, "metadata": metadata})
            return connected.namespace

    namespace = run(applied())
    screen = console(settings, stderr=settings.output is not None)
    screen.print(f"Secret {namespace}/{secret['metadata']['name']} applied", markup=False)
