"""Coverage-guided fuzzing of the check of Secrets: `python tests/fuzz/fuzz_secrets.py -max_total_time=30`.

Needs atheris. What it finds belongs into tests/fuzz/test_secrets.py as an example.
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[0] = str(ROOT)
atheris: Any = importlib.import_module("atheris")  # has no types

with atheris.instrument_imports(include=["kaas"]):
    from kaas.credentials.review import review_secret
    from kaas.credentials.secrets.external import configuration
    from kaas.credentials.terms import GCP_FILE, GCP_TYPE, TYPES
    from tests.fuzz.secret_properties import FIELDS, PIECES, holds, keys_of, secret_of

PROVIDER = "projects/1/locations/global/workloadIdentityPools/pool/providers/team-"


def one(data: bytes) -> None:
    """One input: a review of any JSON, a JSON file of any bytes or near to a right one, or values of all keys."""
    provider = atheris.FuzzedDataProvider(data)
    shape = provider.ConsumeIntInRange(0, 3)
    if shape == 0:
        _review(provider.ConsumeUnicode(provider.remaining_bytes()))
    elif shape == 1:
        holds(secret_of(GCP_TYPE, {GCP_FILE: provider.ConsumeBytes(provider.remaining_bytes())}))
    elif shape == 2:
        holds(secret_of(GCP_TYPE, {GCP_FILE: json.dumps(_document(provider)).encode(errors="replace")}))
    else:
        holds(_values(provider))


def _document(provider: Any) -> dict[str, Any]:
    document = configuration(f"{PROVIDER}{provider.ConsumeIntInRange(0, 9)}", "a@b.iam.gserviceaccount.com")
    for _ in range(provider.ConsumeIntInRange(0, 6)):
        place = document if provider.ConsumeBool() else document.get("credential_source")
        if isinstance(place, dict):
            place[_one_of(provider, FIELDS)] = _field(provider)
    return document


def _field(provider: Any) -> Any:
    kinds = (_text, lambda p: p.ConsumeInt(4), lambda _: "service_account", lambda p: {_one_of(p, FIELDS): _text(p)})
    return kinds[provider.ConsumeIntInRange(0, len(kinds) - 1)](provider)


def _values(provider: Any) -> dict[str, Any]:
    kind = _one_of(provider, TYPES)
    values = {key: _text(provider).encode(errors="replace") for key in keys_of(kind) if provider.ConsumeBool()}
    secret = secret_of(kind, values)
    secret["data"][provider.ConsumeUnicode(8)] = provider.ConsumeUnicode(8)
    return secret


def _text(provider: Any) -> str:
    pieces = [_one_of(provider, PIECES) for _ in range(provider.ConsumeIntInRange(0, 3))]
    return "".join(pieces) + str(provider.ConsumeUnicode(provider.ConsumeIntInRange(0, 24)))


def _one_of(provider: Any, choices: tuple[str, ...]) -> str:
    return choices[int(provider.ConsumeIntInRange(0, len(choices) - 1))]


def _review(text: str) -> None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return
    json.dumps(review_secret(found))


if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
