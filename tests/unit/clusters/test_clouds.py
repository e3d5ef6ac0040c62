"""A Site's cloud in the terms of a plan: what is wrong with the Secret, and Nova's words about a server."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kaas.clusters.addresses import DESCRIPTION
from kaas.clusters.clouds import SiteClouds
from kaas.clusters.snapshot import Live, Object
from kaas.kube.objects import Ref
from kaas.openstack.errors import CloudError, Kind, Problem
from kaas.openstack.facts import CloudFacts, ServerFault
from kaas.openstack.floating_ip import FloatingIP
from tests.unit.clusters.builders import NAME, NAMESPACE, raw_cluster, site
from tests.unit.clusters.test_addresses import OTHER, USED, infrastructure

CLOUDS = "clouds: {openstack: {auth: {auth_url: 'http://keystone.example'}}}"
AWAY = CloudError(Problem(Kind.UNREACHABLE, "http://keystone.example cannot be reached"))


def secret(text: str = CLOUDS, key: str = "clouds.yaml") -> Object:
    return {"data": {key: base64.b64encode(text.encode()).decode()}}


class Api:
    def __init__(self, found: Object | None) -> None:
        self.found = found

    async def get(self, ref: Ref) -> Object | None:
        return self.found


class Directory:
    """A cloud that answers one thing."""

    def __init__(self, answer: Any = None) -> None:
        self.answer = answer

    async def facts(self, _: Any, patience: float | None) -> CloudFacts:
        return CloudFacts(error=self.answer)

    async def floating_ips(self, _: Any, addresses: Any) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def release(self, _: Any, floating_ip: str) -> bool:
        if isinstance(self.answer, Exception):
            raise self.answer
        return bool(self.answer)

    async def server_fault(self, _: Any, server: str) -> ServerFault | None:
        if isinstance(self.answer, Exception):
            raise self.answer
        found: ServerFault | None = self.answer
        return found


def clouds(found: Object | None, answer: Any = None) -> SiteClouds:
    return SiteClouds(Api(found), Directory(answer))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "reason", "words"),
    [
        (
            None,
            "SecretNotFound",
            "spec.credentials.secret kaas-system/north-openstack: there is no such Secret",
        ),
        (secret(key="other"), "SecretInvalid", "the Secret has no key clouds.yaml: add it"),
        (secret("clouds: {}"), "SecretInvalid", "openstack"),
        (secret("]"), "SecretInvalid", "is not YAML: write it again"),
    ],
)
async def test_a_wrong_secret_is_named(found: Object | None, reason: str, words: str) -> None:
    problem = (await clouds(found).look(site())).problem
    assert problem is not None
    assert problem[0] == reason
    assert words in problem[1]


async def test_a_cloud_that_is_away_is_a_problem() -> None:
    problem = (await clouds(secret(), AWAY.problem).look(site())).problem
    assert problem == ("CloudUnreachable", f"the cloud of Site north: {AWAY}")


@pytest.mark.parametrize("kind", list(Kind))
async def test_the_reason_says_once_that_it_is_the_cloud(kind: Kind) -> None:
    problem = (await clouds(secret(), Problem(kind, "why")).look(site())).problem
    assert problem is not None
    assert problem[0].count("Cloud") == 1


async def test_a_site_without_credentials_is_a_problem() -> None:
    problem = (await clouds(secret()).look(site(provider="dev", credentials=None))).problem
    assert problem is not None
    assert problem[0] == "CredentialsMissing"


@pytest.mark.parametrize(
    ("found", "answer", "said"),
    [
        (secret(), ServerFault("ERROR", "No valid host was found."), "No valid host was found."),
        (secret(), ServerFault("ERROR", None), "server s1 is ERROR, for no reason given"),
        (secret(), None, "there is no server s1"),
        (secret(), AWAY, None),
        (None, ServerFault("ERROR", "not asked"), None),
    ],
)
async def test_what_nova_says_of_a_server(found: Object | None, answer: Any, said: str | None) -> None:
    assert await clouds(found, answer).server_fault(site(), "s1") == said


TWO = {
    USED: FloatingIP("1", USED, "port"),
    OTHER: FloatingIP("2", OTHER, "", DESCRIPTION.format(NAMESPACE, NAME)),
}
LIVE = Live(cluster=raw_cluster(), infrastructure=infrastructure())


async def test_a_floating_ip_that_was_made_twice() -> None:
    found = await clouds(secret(), TWO).surplus(site(), LIVE)
    assert found is not None
    assert (found.goes.id, found.goes.address, found.stays) == ("2", OTHER, USED)


@pytest.mark.parametrize(
    ("found", "answer", "live"),
    [
        (None, TWO, LIVE),
        (secret(), AWAY, LIVE),
        (secret(), TimeoutError(), LIVE),
        (secret(), {}, LIVE),
        (secret(), AssertionError("asked for nothing"), Live(infrastructure=infrastructure(ip=USED))),
        (secret(), AssertionError("asked for nothing"), Live()),
    ],
    ids=["no Secret", "cloud away", "slow cloud", "neither is there", "one address", "nothing"],
)
async def test_no_floating_ip_is_surplus(found: Object | None, answer: Any, live: Live) -> None:
    assert await clouds(found, answer).surplus(site(), live) is None


async def test_what_is_not_given_back_is_told() -> None:
    address = FloatingIP("2", OTHER)
    told = f"floating IP {OTHER} of Site north cannot be given back: "
    assert await clouds(secret(), True).release(site(), address) is None
    assert await clouds(secret(), False).release(site(), address) == f"{told}it is in use by now"
    assert await clouds(secret(), AWAY).release(site(), address) == f"{told}{AWAY}"
    refused = await clouds(None).release(site(), address)
    assert refused is not None
    assert "there is no such Secret" in refused
