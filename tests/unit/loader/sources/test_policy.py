"""Which endpoints are allowed, by name and by address."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaas.loader.sources.policy import Policy, PolicyError

INSIDE = (
    "127.0.0.1", "127.255.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "100.100.100.200", "0.0.0.9", "255.255.255.255", "224.0.0.1", "239.1.1.1", "240.0.0.1", "168.63.129.16",
    "192.0.0.192", "198.18.0.1", "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "2002:a9fe:a9fe::1",
)  # fmt: skip
OUTSIDE = ("8.8.8.8", "52.218.0.1", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8")


@pytest.mark.parametrize("address", INSIDE)
def test_what_is_inside_is_refused(address: str) -> None:
    assert Policy().address_refusal(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    assert Policy().refusal("https", host)


@pytest.mark.parametrize("address", OUTSIDE)
def test_the_public_internet_is_allowed_with_tls_only(address: str) -> None:
    assert Policy().address_refusal(ipaddress.ip_address(address)) is None
    assert Policy().refusal("https", address) is None
    assert "without TLS" in (Policy().refusal("http", address) or "")


def test_ranges_that_are_allowed() -> None:
    policy = Policy.parse(["10.20.0.0/16", "fd12::/16"])
    assert policy.refusal("https", "10.20.1.1") is None
    assert policy.refusal("http", "10.20.1.1") is None
    assert policy.refusal("https", "[fd12::1]") is None
    assert policy.refusal("https", "10.21.1.1")
    assert "without TLS" in (policy.refusal("http", "minio.example.com") or "")


def test_hosts_that_are_allowed_lead_anywhere() -> None:
    policy = Policy.parse(["minio.corp", "*.Storage.corp"])
    for host in ("minio.corp", "MINIO.corp.", "a.storage.corp", "a.b.storage.corp"):
        assert policy.trusts(host)
        assert policy.refusal("http", host) is None
    for host in ("xminio.corp", "minio.corp.evil.com", "storage.corp", "evil.com"):
        assert not policy.trusts(host)


def test_what_is_never_allowed_wins() -> None:
    policy = Policy.parse(["0.0.0.0/0", "!10.96.0.0/12", "!203.0.114.0/24"])
    assert policy.refusal("https", "10.96.0.1")
    assert policy.refusal("https", "203.0.114.9")
    assert policy.refusal("https", "10.1.0.1") is None
    assert Policy.parse(["168.63.129.16/32"]).refusal("https", "168.63.129.16") is None


@pytest.mark.parametrize("entry", ["https://minio", "minio:9000", "10.0.0.1/8", "*", "a b", "!minio", "*.*.x", "-x"])
def test_wrong_entries(entry: str) -> None:
    with pytest.raises(PolicyError) as refusal:
        Policy.parse([entry])
    assert repr(entry) in str(refusal.value)


def test_names_of_clouds_are_their_own() -> None:
    policy = Policy()
    assert policy.of_cloud("s3.eu-west-1.amazonaws.com")
    assert policy.of_cloud("storage.googleapis.com")
    assert not policy.of_cloud("s3.amazonaws.com.evil.com")
    assert not policy.of_cloud("evilamazonaws.com")
    assert not policy.of_cloud("internal-evil-1.eu-west-1.elb.amazonaws.com")
    for host in ("s3.amazonaws.com", "s3.dualstack.eu-west-1.amazonaws.com", "sts.eu-west-1.amazonaws.com"):
        assert policy.of_cloud(host)
    assert policy.refusal("http", "s3.amazonaws.com")


@given(st.integers(0, 2**32 - 1))
def test_an_ipv4_address_in_disguise_is_judged_as_itself(number: int) -> None:
    plain = ipaddress.IPv4Address(number)
    refused = Policy().address_refusal(plain) is not None
    for disguise in (0xFFFF << 32 | number, int(ipaddress.IPv6Address("64:ff9b::")) | number):
        assert (Policy().address_refusal(ipaddress.IPv6Address(disguise)) is not None) == refused
