"""Errors of the SDK, in our kinds and words."""

from __future__ import annotations

import pytest
import requests
from keystoneauth1 import exceptions as keystone
from openstack import exceptions as sdk

from kaas.openstack.errors import CloudError, Kind, Problem, classify, clean

OURS = Problem(Kind.UNAUTHORIZED, "ours")


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind", "said"),
    [
        (requests.ReadTimeout("x"), Kind.TIMEOUT, "check the network"),
        (requests.exceptions.SSLError("x"), Kind.UNREACHABLE, "put its CA into the key cacert"),
        (keystone.SSLError("x"), Kind.UNREACHABLE, "put its CA into the key cacert"),
        (keystone.ConnectFailure("x"), Kind.UNREACHABLE, "check its address"),
        (caused(keystone.DiscoveryFailure("x"), keystone.ConnectTimeout("y")), Kind.TIMEOUT, "in time"),
        (caused(sdk.SDKException("x"), keystone.Unauthorized("y")), Kind.UNAUTHORIZED, "renew them"),
        (keystone.Forbidden("x"), Kind.FORBIDDEN, "role"),
        (keystone.MissingRequiredOptions([]), Kind.INVALID, "correct it in the Site's Secret"),
        (sdk.HttpException("busy (Request-ID: req-1)", http_status=503), Kind.FAILED, "HTTP 503"),
        (ValueError("what\nis this"), Kind.FAILED, "ValueError: what is this"),
        (CloudError(OURS), OURS.kind, OURS.message),
    ],
)
def test_kind_and_words(error: Exception, kind: Kind, said: str) -> None:
    problem = classify(error, "https://cloud")
    assert problem.kind is kind
    assert said in problem.message
    assert "req-1" not in problem.message


def test_message_is_one_short_line_that_stays_the_same() -> None:
    assert clean("a\n b <x.y object at 0x7f01>: c (Request-ID: req-7)") == "a b c"
    assert len(clean("x" * 5000)) == 512


def test_the_service_that_did_not_answer_is_named() -> None:
    """Not Keystone, by whose address the cloud is known."""
    request = requests.Request("GET", "http://nova.example:8774/v2.1/flavors?limit=1").prepare()
    problem = classify(requests.ConnectionError("refused", request=request), "http://keystone.example/v3")
    assert problem.message.startswith("http://nova.example:8774 cannot be reached")
    response = requests.Response()
    response.url, response.status_code = "http://nova.example:8774/v2.1/flavors", 503
    error = sdk.HttpException("busy", response=response)
    assert classify(error, "http://keystone.example/v3").message.startswith("http://nova.example:8774 answers with")
