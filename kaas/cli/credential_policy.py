"""The option `--policy` of the credential webhook: what an administrator decides, as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kaas.cli.exits import CliError, ExitCode
from kaas.credentials.secrets.policy import DEFAULT, Policy

_LISTS = {"endpointHosts": "endpoint_hosts", "universeDomains": "universe_domains"}
_SWITCHES = {"allowExternalAccount": "allow_external_account"}


def policy(text: str) -> Policy:
    """Policy of a JSON object; what it leaves out is as by default. CliError names what is wrong."""
    try:
        found = json.loads(text or "{}")
        if not isinstance(found, dict):
            raise ValueError("no JSON object")
        return replace(DEFAULT, **dict(_field(key, value) for key, value in found.items()))
    except ValueError as error:
        known = ", ".join([*_SWITCHES, *_LISTS])
        raise CliError(f"--policy: {error}; give a JSON object with any of {known}", ExitCode.WRONG_INPUT) from error


def _field(key: str, value: Any) -> tuple[str, Any]:
    if key in _SWITCHES and isinstance(value, bool):
        return _SWITCHES[key], value
    if key in _LISTS and isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return _LISTS[key], tuple(value)
    wanted = "true or false" if key in _SWITCHES else "a list of names" if key in _LISTS else "not known"
    raise ValueError(f"{key} is {wanted}")
