"""What the commands of both webhooks do alike: become a small server, and print the manifests that install one."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from kaas.cli.exits import CliError, ExitCode
from kaas.cli.settings import Settings

V = TypeVar("V")


def become(module: str, settings: Settings, options: Mapping[str, Any]) -> NoReturn:
    """Go on as `python -m module` with these options and those of every command, as JSON.

    The same process goes on without what reads command lines, which is a quarter of all that it would hold.
    """
    given = {
        "kubeconfig": str(settings.kubeconfig) if settings.kubeconfig else None,
        "context": settings.context,
        "namespace": settings.namespace or "",
        "log_level": "DEBUG" if settings.verbose else "INFO",
        **options,
        "names": options["names"] or [],
    }
    os.execv(sys.executable, [sys.executable, "-m", module, json.dumps(given)])  # noqa: S606


def print_manifests(
    values: Callable[[Mapping[str, Any], Sequence[str]], V],
    render: Callable[[V], str],
    settings: Settings,
    chosen: tuple[Path | None, Sequence[str] | None, str],
) -> None:
    """Print what `render` makes of the values. chosen: file with values, settings `key=value`, and the URL."""
    import yaml  # noqa: PLC0415 - the server needs none of it

    from kaas.install import WrongValue  # noqa: PLC0415

    file, changes, url = chosen
    given = (yaml.safe_load(file.read_text()) or {}) if file else {}
    given |= {"namespace": settings.namespace} if settings.namespace else {}
    given |= {"url": url} if url else {}
    try:
        sys.stdout.write(render(values(given, changes or ())))
    except WrongValue as problem:
        raise CliError(str(problem), ExitCode.WRONG_INPUT) from problem
