"""Properties of the check of Secrets, over Secrets of any shape."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from kaas.credentials.review import review_secret
from kaas.credentials.secrets.check import check
from kaas.credentials.secrets.external import configuration
from kaas.credentials.terms import AWS_TYPE, GCP_FILE, GCP_PROJECT, GCP_TYPE, TYPES
from tests.fuzz.secret_properties import FIELDS, FIXED, PIECES, answered, holds, keys_of, secret_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=40),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=12,
)
TEXT = st.lists(st.sampled_from(PIECES) | st.text(max_size=8), max_size=6).map("".join)
VALUE = TEXT.map(lambda t: t.encode(errors="replace")) | st.binary(max_size=60)
FIELD = st.sampled_from(FIELDS) | st.text(max_size=12)
FIELD_VALUE = st.recursive(
    JSON | TEXT | st.sampled_from(["service_account", "external_account", *configuration("x", "y").values()]),
    lambda inner: st.dictionaries(FIELD, inner, max_size=5),
    max_leaves=8,
)
DOCUMENT = st.dictionaries(FIELD, FIELD_VALUE, max_size=8)
# Alphabet that no message of ours uses: a value out of it that is found in one came from the Secret.
FOREIGN = st.text(alphabet="\u0416\u0429\u042e\u042f\u0444\u044d", min_size=4, max_size=80)
UNHURRIED = settings(deadline=None)


@st.composite
def secrets(draw: st.DrawFn) -> dict[str, Any]:
    """Secrets of our types, with known and unknown keys."""
    kind = draw(st.sampled_from(TYPES))
    key = st.sampled_from(keys_of(kind)) | st.text(max_size=20)
    values = draw(st.dictionaries(key, VALUE, max_size=8))
    if kind == GCP_TYPE and draw(st.booleans()):
        values[GCP_FILE] = json.dumps(draw(DOCUMENT)).encode()
    return secret_of(kind, values)


@UNHURRIED
@given(secrets())
def test_whatever_is_in_a_secret_it_is_judged(secret: dict[str, Any]) -> None:
    holds(secret)


@UNHURRIED
@given(st.sampled_from(TYPES), JSON, JSON)
def test_whatever_shape_a_secret_has_it_is_judged(kind: str, data: Any, string_data: Any) -> None:
    holds({"type": kind, "data": data, "stringData": string_data})


@UNHURRIED
@given(DOCUMENT, st.sampled_from(["service_account", "external_account"]))
def test_whatever_a_file_says_it_is_judged(document: dict[str, Any], kind: str) -> None:
    holds(secret_of(GCP_TYPE, {GCP_FILE: json.dumps({**document, "type": kind}).encode()}))


@UNHURRIED
@given(JSON)
@example({"request": {"uid": "u", "operation": "UPDATE", "object": {"type": AWS_TYPE}, "oldObject": []}})
@example({"request": {"uid": "u", "operation": "CREATE", "object": {"type": []}}})
def test_whatever_a_review_is_it_is_answered(review: Any) -> None:
    answer = review_secret(review)
    assert isinstance(answer["response"]["allowed"], bool)
    json.dumps(answer)


@UNHURRIED
@given(JSON)
def test_whatever_the_object_of_a_review_is_it_is_answered(found: Any) -> None:
    answered(found)


def _said(secret: dict[str, Any]) -> str:
    findings = check(secret)
    return (
        repr(findings) + "".join(f.key + f.message for f in findings) + json.dumps(answered(secret), ensure_ascii=False)
    )


@UNHURRIED
@given(st.sampled_from(TYPES), st.data())
def test_no_value_is_ever_in_what_is_said(kind: str, data: st.DataObject) -> None:
    values = data.draw(st.dictionaries(st.sampled_from(keys_of(kind)), FOREIGN, min_size=1))
    said = _said(secret_of(kind, {key: value.encode() for key, value in values.items()}))
    assert not any(value[i : i + 4] in said for value in values.values() for i in range(len(value) - 3))


@UNHURRIED
@given(st.dictionaries(st.sampled_from(FIELDS), FOREIGN), st.sampled_from(["service_account", "external_account"]))
def test_no_field_of_a_file_is_ever_in_what_is_said(fields: dict[str, str], kind: str) -> None:
    document = {**fields, "type": kind}
    said = _said(secret_of(GCP_TYPE, {GCP_FILE: json.dumps(document).encode(), GCP_PROJECT: b"team-a-123"}))
    assert not any(value[:4] in said or value[-4:] in said for value in fields.values())


@UNHURRIED
@given(st.sampled_from(TYPES), st.data())
def test_no_value_of_any_alphabet_is_ever_in_what_is_said(kind: str, data: st.DataObject) -> None:
    value = data.draw(st.text(min_size=4, max_size=60))
    assume(value not in FIXED)
    key = data.draw(st.sampled_from(keys_of(kind)))
    findings = check(secret_of(kind, {key: value.encode(errors="replace")}))
    assert not any(value in f.key or value in f.message for f in findings)
