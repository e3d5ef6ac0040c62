"""The answer to a review of a Secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kaas.credentials.review import ALL_WARNINGS, LONGEST_WARNING, _fitting, review_secret, secret_response
from kaas.credentials.secrets.policy import Policy
from tests.unit.credentials.secret_examples import Secret, aws, external


def review(found: object, operation: Any = "CREATE", **more: Any) -> dict[str, Any]:
    request = {"uid": "4f1", "operation": operation, "object": found, **more}
    return {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request}


def response(found: object, operation: str = "CREATE", **more: Any) -> dict[str, Any]:
    answer = review_secret(review(found, operation, **more))
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert answer["response"]["uid"] == "4f1"
    return dict(answer["response"])


def test_a_right_secret_is_allowed_without_a_word() -> None:
    assert response(aws()) == {"uid": "4f1", "allowed": True}


def test_a_wrong_one_is_refused_with_every_fault() -> None:
    answer = response(aws(AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY="\n", AWS_REGION="Frankfurt"))
    assert not answer["allowed"]
    assert (answer["status"]["code"], answer["status"]["reason"]) == (422, "Invalid")
    first, *lines = answer["status"]["message"].splitlines()
    assert first == "these credentials would not work or are not allowed:"
    assert [line.partition(":")[0] for line in lines] == ["* AWS_SECRET_ACCESS_KEY", "* AWS_ACCESS_KEY_ID"]
    assert len(answer["warnings"]) == 1


def test_warnings_refuse_nothing() -> None:
    answer = response(aws(AWS_REGION="Frankfurt"))
    assert answer["allowed"]
    assert answer["warnings"][0].startswith("AWS_REGION: does not look like a region")


def test_changes_are_refused_when_values_change() -> None:
    old, wrong = aws(), aws(AWS_REGION="\n")
    assert not response(wrong, "UPDATE", oldObject=old)["allowed"]
    assert response(wrong, "UPDATE", oldObject=wrong)["allowed"]
    assert not response(wrong, "UPDATE")["allowed"]


@pytest.mark.parametrize("operation", ["DELETE", "CONNECT"])
def test_other_operations_are_allowed(operation: str) -> None:
    assert response(None, operation)["allowed"]


def test_other_types_are_allowed() -> None:
    assert response({"type": "Opaque", "data": {"password": "eA=="}}) == {"uid": "4f1", "allowed": True}


def test_a_policy_decides() -> None:
    answer = review_secret(review(external()), Policy(allow_external_account=False))
    assert "not allowed here" in answer["response"]["status"]["message"]


@pytest.mark.parametrize(
    "found",
    [
        None,
        [],
        "text",
        7,
        {},
        {"request": []},
        {"request": {"uid": 7}},
        review(None),
        review([]),
        {"request": {"uid": "4f1", "operation": []}},
    ],
)
def test_what_is_no_review_is_refused_as_a_bad_request(found: object) -> None:
    answer = review_secret(found)["response"]
    assert not answer["allowed"]
    assert answer["status"]["code"] == 400
    json.dumps(answer)


def test_the_response_alone_has_no_uid() -> None:
    assert secret_response(review(aws())["request"]) == {"allowed": True}


def test_warnings_are_as_long_and_as_many_as_the_api_server_passes_on() -> None:
    found = list(_fitting(["ä" * 300] * 100))
    assert all(len(w.encode()) <= LONGEST_WARNING for w in found)
    assert found[0].endswith("ä…")
    assert ALL_WARNINGS - LONGEST_WARNING <= sum(len(w.encode()) for w in found) <= ALL_WARNINGS


def test_a_long_list_of_faults_is_cut() -> None:
    found: Secret = {**aws(), "data": {f"k{i}": "!" for i in range(60)}}
    assert response(found)["status"]["message"].endswith("more")
