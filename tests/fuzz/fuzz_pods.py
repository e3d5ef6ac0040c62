"""Coverage-guided: any bytes as a review of a Pod. Needs atheris.

    python -m tests.fuzz.fuzz_pods [directory] -len_control=0 -max_len=4096 -max_total_time=600

What Hypothesis finds by shape, this finds by branches: bytes choose the parts of Pods that the unit tests' strategies
make, and the rules of tests/unit/credentials/test_any_pod.py hold for each of them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable

import atheris  # type: ignore[import-untyped]
from hypothesis import given, settings

with atheris.instrument_imports(include=["kaas.credentials"]):
    from kaas.credentials import podreview

from tests.unit.credentials import pod_strategies as strategies
from tests.unit.credentials import test_any_pod as rules
from tests.unit.credentials.pod_shapes import Object


def raw(data: bytes) -> None:
    """The bytes are the review."""
    try:
        review = json.loads(data)
    except (ValueError, RecursionError):
        return
    podreview.needs(review)
    json.dumps(podreview.respond(review, None, {}))


@settings(database=None, deadline=None)
@given(strategies.pods, strategies.accounts, strategies.secrets)
def shaped(pod: Object, account: Object | None, secrets: rules.Facts) -> None:
    """The bytes choose a Pod."""
    rules.holds(pod, account, secrets)


def one(data: bytes) -> None:
    """One input: its first byte says what the rest is."""
    if data[:1] < b"\x20":
        raw(data[1:])
    else:
        _from_bytes(data[1:])


_from_bytes: Callable[[bytes], object] = shaped.hypothesis.fuzz_one_input  # type: ignore[attr-defined]

if __name__ == "__main__":
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()
