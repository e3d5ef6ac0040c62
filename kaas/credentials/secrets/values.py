"""Values of a Secret as the text that a program will see, and the faults that any of them may have."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.credentials.secrets.finding import DENY, Finding, Rule, first_broken, shown

BOM: Final = "\ufeff"
QUOTES: Final = "\"'`\u201c\u201d\u2018\u2019"
MOST_KEYS: Final = 100
LONGEST: Final = 16 * 1024  # characters of one variable: session tokens are a few thousand at most


@dataclass(frozen=True, slots=True, repr=False)
class Value:
    """One value. text: None when it is not UTF-8."""

    text: str | None

    @property
    def clean(self) -> str:
        """Without what surrounds it by mistake, so that further rules speak of the value itself."""
        return (self.text or "").strip(f"{BOM} \t\r\n").strip(QUOTES).strip()


def _text(value: Value) -> str:
    return value.text or ""


def _is_quoted(value: Value) -> bool:
    text = _text(value).strip(f"{BOM} \t\r\n")
    return len(text) > 1 and text[0] in QUOTES and text[-1] in QUOTES


TEXT_RULES: Final[tuple[Rule[Value], ...]] = (
    Rule(
        "text-encoding",
        "",
        DENY,
        "is not UTF-8 text",
        "store the value itself; put it under `stringData`, where nothing has to be encoded",
        lambda v: v.text is None,
    ),
    Rule(
        "text-empty",
        "",
        DENY,
        "is empty",
        "give it a value, or remove the key",
        lambda v: not _text(v).strip(f"{BOM} \t\r\n"),
    ),
    Rule(
        "text-long",
        "",
        DENY,
        f"has more than {LONGEST:,} characters",
        "store only the one value here",
        lambda v: len(_text(v)) > LONGEST,
    ),
    Rule(
        "text-bom",
        "",
        DENY,
        "begins with a byte order mark",
        "save the file as UTF-8 without BOM",
        lambda v: _text(v).startswith(BOM),
    ),
    Rule(
        "text-line-break",
        "",
        DENY,
        "ends with a line break",
        "it becomes part of the value and signatures will not match; use `printf %s` in place of `echo` before "
        "`base64`, or `stringData`",
        lambda v: _text(v).endswith(("\n", "\r")),
    ),
    Rule(
        "text-quotes",
        "",
        DENY,
        "stands in quotes",
        "they become part of the value; remove them",
        _is_quoted,
    ),
    Rule(
        "text-space",
        "",
        DENY,
        "has a space or a line break in it, or around it",
        "remove it",
        lambda v: any(c.isspace() for c in _text(v)),
    ),
    Rule(
        "text-characters",
        "",
        DENY,
        "has characters that cannot be printed",
        "copy the value anew, without formatting",
        lambda v: not _text(v).isprintable(),
    ),
)
"""Of every value that becomes an environment variable. The first that is broken explains the others."""

BASE64_RULE: Final[Rule[None]] = Rule(
    "data-base64",
    "",
    DENY,
    "is not base64 text",
    "encode it, or put the value itself under `stringData`",
    lambda _: True,
)
SIZE_RULE: Final[Rule[bool]] = Rule(
    "data-size",
    "data",
    DENY,
    "holds more than credentials need",
    "keep other files in a Secret of their own",
    lambda too_large: too_large,
)
SHAPE_RULE: Final[Rule[bool]] = Rule(
    "data-shape",
    "data",
    DENY,
    "is no map from keys to text",
    "write one line `key: value` for each key under `data` or `stringData`",
    lambda wrong: wrong,
)


def has_too_many_keys(secret: Mapping[str, Any]) -> bool:
    """Whether there are so many keys that none need be looked at."""
    return any(isinstance(e := secret.get(f), Mapping) and len(e) > MOST_KEYS for f in ("data", "stringData"))


def decoded(secret: Mapping[str, Any]) -> tuple[dict[str, bytes], list[Finding]]:
    """Values of a Secret by key, and what cannot be read. `stringData` wins over `data`, as in the API server."""
    findings: list[Finding] = []
    values: dict[str, bytes] = {}
    for field in ("data", "stringData"):
        entries = secret.get(field) or {}
        if not isinstance(entries, Mapping):
            findings.append(SHAPE_RULE.finding())
            continue
        for key, value in entries.items():
            found = _bytes(value) if field == "data" else _encoded(value)
            if found is None or not isinstance(key, str):
                findings.append(BASE64_RULE.finding(shown(str(key))) if field == "data" else SHAPE_RULE.finding())
            else:
                values[key] = found
    return values, findings


def text(value: bytes) -> Value:
    """A value as text."""
    try:
        return Value(value.decode())
    except UnicodeDecodeError:
        return Value(None)


def text_faults(key: str, value: Value) -> Iterator[Finding]:
    """What is wrong with a value whatever it is for."""
    yield from first_broken(TEXT_RULES, value, key)


def _bytes(value: object) -> bytes | None:
    if value is None:
        return b""  # the API server takes null for an empty value
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError):
        return None


def _encoded(value: object) -> bytes | None:
    if value is None:
        return b""
    return value.encode(errors="surrogatepass") if isinstance(value, str) else None
