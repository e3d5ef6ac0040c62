"""What administrators decide, keys that somebody meant, changes, and what other features rely on."""

from __future__ import annotations

import pytest

from kaas.credentials.pods.facts import facts_of
from kaas.credentials.pods.gcp import gcp_bundle
from kaas.credentials.pods.wanted import Choice
from kaas.credentials.secrets.check import check, check_update
from kaas.credentials.secrets.external import configuration, is_audience
from kaas.credentials.secrets.keys import ALIASES, AWS_KEYS, GCP_KEYS, unknown_keys
from kaas.credentials.secrets.policy import DEFAULT, Policy, is_host
from tests.unit.credentials.secret_examples import EMAIL, PROVIDER, aws, external, gcp, s3


@pytest.mark.parametrize(
    ("host", "admitted"),
    [
        ("s3.example.com", True),
        ("a.storage.example.org", True),
        ("storage.example.org", False),
        ("evil-storage.example.org", False),
        ("s3.example.com.example.net", False),
        ("192.0.2.7", True),
        ("192.0.2.8", False),
        ("169.254.169.254", False),
    ],
)
def test_only_hosts_of_the_list_are_admitted(host: str, admitted: bool) -> None:
    policy = Policy(endpoint_hosts=("S3.example.com", "*.storage.example.org", "192.0.2.7", "169.254.169.254"))
    assert policy.admits(host) is admitted
    assert bool(check(s3(f"https://{host}"), policy)) is not admitted


def test_more_networks_can_be_forbidden() -> None:
    policy = Policy(forbidden_networks=("10.0.0.0/8",))
    assert check(s3("https://10.1.2.3"), policy)
    assert not check(s3("https://192.0.2.7"), policy)


def test_a_network_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match=r"10\.0\.0\.0/99"):
        Policy(forbidden_networks=("10.0.0.0/99",))


@pytest.mark.parametrize("host", ["", "a..b", "-a.example.com", "a b", "1.2.3", "0x7f.1", "fe80::1%eth0", "256.1.1.1"])
def test_what_programs_may_take_for_different_hosts_is_none(host: str) -> None:
    assert not is_host(host)


def test_a_sovereign_cloud_brings_its_token_service() -> None:
    found = gcp(universe_domain="cloud.example", token_uri="https://oauth2.cloud.example/token")
    assert {f.rule for f in check(found)} == {"gcp-universe", "gcp-token-uri"}
    assert not check(found, Policy(universe_domains=("googleapis.com", "cloud.example")))


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("AWS_ACCES_KEY_ID", "AWS_ACCESS_KEY_ID"),
        ("aws_access_key_id", "AWS_ACCESS_KEY_ID"),
        ("accessKeyId", "AWS_ACCESS_KEY_ID"),
        ("secret_key", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_DEFAULT_REGION", "AWS_REGION"),
        ("AWS_CA_BUNDLE", "ca.crt"),
    ],
)
def test_the_key_that_was_meant_is_named(key: str, meant: str) -> None:
    (found,) = unknown_keys([key], AWS_KEYS)
    assert (found.key, found.message) == (key, f"is not a key of this type: did you mean {meant}?")


def test_what_resembles_no_key_is_told_which_there_are() -> None:
    (found,) = unknown_keys(["password"], GCP_KEYS)
    assert found.message.endswith("known keys are credentials.json, project_id")


def test_a_key_of_the_other_cloud_is_not_suggested() -> None:
    (found,) = unknown_keys(["region"], GCP_KEYS)
    assert "did you mean" not in found.message


def test_a_key_that_may_be_a_value_is_not_repeated() -> None:
    (found,) = unknown_keys(["x" * 40], AWS_KEYS)
    assert "xxxx" not in f"{found.key}{found.message}"


def test_of_very_many_unknown_keys_some_are_named() -> None:
    found = unknown_keys([f"k{i:02}" for i in range(30)], AWS_KEYS)
    assert len(found) == 11
    assert found[-1].key == "(20 more keys)"


def test_aliases_name_keys_that_there_are() -> None:
    assert set(ALIASES.values()) <= {*AWS_KEYS, *GCP_KEYS}


def test_a_change_that_leaves_the_values_alone_is_never_refused() -> None:
    old = aws(AWS_REGION="\n")
    new = {**old, "metadata": {"name": "cloud", "labels": {"team": "a"}}}
    assert check(new)
    assert check_update(old, new) == []


def test_changed_values_are_checked() -> None:
    assert check_update(aws(), aws(AWS_REGION="\n")) == check(aws(AWS_REGION="\n"))
    assert check_update(aws(AWS_REGION="\n"), aws()) == []


def test_string_data_wins_over_data() -> None:
    assert check({**aws(AWS_REGION="\n"), "stringData": {"AWS_REGION": "eu-central-1"}}) == []


@pytest.mark.parametrize("prefix", ["", "//iam.googleapis.com/", "https://iam.googleapis.com/"])
def test_a_made_configuration_is_right_and_pods_are_given_its_token(prefix: str) -> None:
    assert is_audience(configuration(prefix + PROVIDER, EMAIL)["audience"])
    bundle = gcp_bundle(Choice("Pod", "cloud"), facts_of(external()), 3600)
    assert bundle.tokens
    assert not bundle.warnings


def test_pods_are_given_the_token_wherever_the_check_lets_it_be() -> None:
    for part in ("gcp", "x/y", "a_b-c.d", "awsx", "aws/x", "aws", "..data/x", ".x", "a//b", "a/b/c/d/e", "x" * 64):
        path = f"/var/run/secrets/kaas.internal/token/{part}"
        found = external(credential_source={"file": path})
        given = bool(gcp_bundle(Choice("Pod", "cloud"), facts_of(found), 3600).tokens)
        assert given is (check(found) == []), part


def test_without_a_policy_the_default_holds() -> None:
    assert check(external()) == check(external(), DEFAULT)
