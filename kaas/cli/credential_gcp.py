"""What `kaas credentials create gcp` puts into a Secret: a key file as it is, or a configuration without a key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kaas.cli.credential_create import content, one_of
from kaas.cli.exits import CliError, ExitCode
from kaas.credentials.secrets.external import configuration
from kaas.credentials.terms import GCP_FILE, GCP_PROJECT


def values(
    key_file: Path | None, provider: str | None, service_account: str | None, project: str | None
) -> dict[str, bytes]:
    """Values of a Secret by key. CliError when there is not one source."""
    chosen = one_of({"--key-file": key_file, "--workload-identity-provider": provider})
    if chosen == "--key-file" and service_account:
        message = "--service-account: a key file has its own: leave the option out"
        raise CliError(message, ExitCode.WRONG_INPUT)
    file = content(key_file) if key_file else _made(provider or "", service_account or "")
    found = project or _project(file)
    return {GCP_FILE: file, **({GCP_PROJECT: found.encode()} if found else {})}


def _made(provider: str, service_account: str) -> bytes:
    return json.dumps(configuration(provider, service_account), indent=2).encode()


def _project(file: bytes) -> str:
    """Project of a key file, for programs that only look into the environment; what is wrong in it is found later."""
    try:
        found: Any = json.loads(file)
    except (ValueError, RecursionError):
        return ""
    project = found.get("project_id") if isinstance(found, dict) else None
    return project if isinstance(project, str) else ""
