"""Google's JSON file, read so that every client library understands it alike."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.credentials.secrets.finding import DENY, Rule
from kaas.credentials.secrets.policy import Policy
from kaas.credentials.secrets.values import BOM
from kaas.credentials.terms import GCP_FILE

LARGEST: Final = 16 * 1024  # bytes; a key file has some 2,400


@dataclass(frozen=True, slots=True, repr=False)
class File:
    """The file as it is stored. document: None when it is no JSON that means one thing only."""

    raw: bytes
    document: Any = None
    doubled: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Configuration:
    """The object in the file. project: value of the Secret's own key, empty without it."""

    fields: Mapping[str, Any]
    policy: Policy
    project: str = ""

    def __getitem__(self, field: str) -> str:
        """Text of a field; empty for what is missing or no text."""
        value = self.fields.get(field)
        return value if isinstance(value, str) else ""


class _Doubled(ValueError):
    """A field that is written twice: some parsers take the first, some the last."""


def read(raw: bytes) -> File:
    """The file with its content. Never raises."""
    if len(raw) > LARGEST:
        return File(raw)
    try:
        return File(raw, json.loads(raw.decode(), object_pairs_hook=_once, parse_constant=_no_constant))
    except _Doubled:
        return File(raw, doubled=True)
    except (ValueError, RecursionError):
        return File(raw)


def differs_by_case(fields: Iterable[str], known: Iterable[str]) -> bool:
    """Whether a field is a known one but for case: Go takes it for that, other languages do not see it."""
    names = {name.casefold(): name for name in known}
    return any(names.get(field.casefold(), field) != field for field in fields)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Doubled
    return found


def _no_constant(_: str) -> None:
    raise ValueError  # NaN and Infinity are no JSON


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_encoded(raw: bytes) -> bool:
    """Whether it begins like `{"`, `{` with a line break or a space, in base64."""
    return raw.startswith((b"eyJ", b"ewo", b"ewog", b"eyAg", b"ew0K"))


FILE_RULES: Final[tuple[Rule[File], ...]] = (
    Rule(
        "gcp-file-size",
        GCP_FILE,
        DENY,
        f"has more than {LARGEST // 1024} KiB",
        "store the key file alone, as Google made it",
        lambda f: len(f.raw) > LARGEST,
    ),
    Rule(
        "gcp-file-empty",
        GCP_FILE,
        DENY,
        "is empty",
        "store the key file as Google made it",
        lambda f: not f.raw.strip(),
    ),
    Rule(
        "gcp-file-encoding",
        GCP_FILE,
        DENY,
        "is not UTF-8 text",
        "store the JSON file as Google made it; keys of type P12 cannot be used",
        lambda f: not _is_utf8(f.raw),
    ),
    Rule(
        "gcp-file-bom",
        GCP_FILE,
        DENY,
        "begins with a byte order mark",
        "save the file as UTF-8 without BOM: client libraries refuse it",
        lambda f: f.raw.startswith(BOM.encode()),
    ),
    Rule(
        "gcp-file-twice",
        GCP_FILE,
        DENY,
        "is encoded in base64 twice",
        "encode it once under `data`, or not at all under `stringData`",
        lambda f: _is_encoded(f.raw),
    ),
    Rule(
        "gcp-file-doubled",
        GCP_FILE,
        DENY,
        "has a field that is written twice",
        "remove one: programs do not agree on which counts",
        lambda f: f.doubled,
    ),
    Rule(
        "gcp-file-json",
        GCP_FILE,
        DENY,
        "is not JSON",
        "store the file as Google made it, without quotes around it and without editing",
        lambda f: f.document is None,
    ),
    Rule(
        "gcp-file-object",
        GCP_FILE,
        DENY,
        "is JSON, but no object",
        "it begins with `{` and has fields; take one file out of a list",
        lambda f: not isinstance(f.document, dict),
    ),
)
"""The first that is broken explains the others."""
