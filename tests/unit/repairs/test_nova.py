"""Credentials of a Site: what is missing is named, and what is known is not read again."""

from __future__ import annotations

from typing import cast

import pytest

from kaas.api.site import Site
from kaas.kube.objects import Object, Ref
from kaas.openstack.clouds import CloudDirectory
from kaas.openstack.errors import CloudError, Kind
from kaas.repairs.nova import Nova
from tests.unit.clusters.builders import dev_site, site


class Reader:
    def __init__(self, found: Object | None) -> None:
        self.found = found

    async def get(self, ref: Ref) -> Object | None:
        return self.found


class Clouds:
    """Clouds that nobody gets as far as."""

    async def server(self, credentials: object, server: str) -> None:
        raise AssertionError(credentials)


@pytest.mark.parametrize(
    ("place", "secret", "words"),
    [
        (None, None, "there is no Site north"),
        (dev_site(), None, "has no spec.credentials"),
        (site(), None, "there is no such Secret"),
        (site(), {"data": {}}, "north-openstack"),
    ],
)
async def test_what_is_missing_is_named(place: Site | None, secret: Object | None, words: str) -> None:
    nova = Nova(Reader(secret), cast(CloudDirectory, Clouds()), lambda _: place)
    with pytest.raises(CloudError, match=words) as raised:
        await nova.server("north", "s-1")
    assert raised.value.problem.kind is Kind.INVALID
