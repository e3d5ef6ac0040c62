from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kaas.loader.options import Patience
from kaas.loader.report import Reason
from tests.loader_faults import faults
from tests.loader_faults.blobs import blob
from tests.loader_faults.loading import MIB, QUICK, RANGE, STREAMS, differing, load_from
from tests.loader_faults.server import Fault, Store

LARGE = 6 * MIB + 11


@pytest.fixture
async def store() -> AsyncIterator[Store]:
    made = Store()
    made.objects = {"small": blob(1000, 1), "large": blob(LARGE, 2, md5=False), "d/": blob(0), "d/empty": blob(0)}
    async with made.running():
        yield made


@pytest.mark.parametrize("key", ["small", "large"])
@pytest.mark.parametrize(
    "fault",
    [
        faults.slow_down(),
        faults.refuse(500, "InternalError"),
        faults.reset(0),
        faults.reset(500),
        faults.stall(100),
        faults.cut(7),
        faults.damage(),
    ],
    ids=["503", "500", "reset", "reset-in-the-middle", "stall", "short", "damage"],
)
async def test_a_load_gets_over_it(store: Store, tmp_path: Path, key: str, fault: Fault) -> None:
    store.fail(key, fault, fault)
    result = await load_from(store.url, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert differing(store, tmp_path) == []
    assert result.verified.get("size") == 1  # the empty one: there is nothing to sum


async def test_a_store_that_is_always_busy_ends_the_load(store: Store, tmp_path: Path) -> None:
    store.fail("large", *[faults.slow_down()] * 1000)
    result = await load_from(store.url, tmp_path)
    assert result.reason is Reason.UNREACHABLE
    assert "s3://bucket/large" in result.message


async def test_damage_that_stays_ends_the_load(store: Store, tmp_path: Path) -> None:
    store.fail("small", *[faults.damage()] * 100)
    result = await load_from(store.url, tmp_path)
    assert result.reason is Reason.CORRUPT
    assert store.gets["small"] == QUICK.contents


async def test_an_object_that_is_put_meanwhile_is_loaded_anew(store: Store, tmp_path: Path) -> None:
    store.fail("large", *[_nothing] * 2, faults.change(blob(LARGE + MIB, 3, md5=False)))
    store.fail("small", faults.change(blob(5, 4)))
    result = await load_from(store.url, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert differing(store, tmp_path) == []
    assert store.listings == 2


async def test_a_version_that_a_server_without_conditions_gives_is_noticed(store: Store, tmp_path: Path) -> None:
    store.fail("large", _nothing, *[faults.swap(blob(LARGE, 9, md5=False))] * (2 * STREAMS))  # each is read two ways
    result = await load_from(store.url, tmp_path)
    assert result.reason is Reason.LOADED, result.message
    assert differing(store, tmp_path) == []
    assert store.listings > 1


async def test_credentials_that_expire_end_the_load(store: Store, tmp_path: Path) -> None:
    store.fail("large", _nothing, *[faults.refuse(403, "ExpiredToken")] * 100)
    result = await load_from(store.url, tmp_path)
    assert result.reason is Reason.ACCESS_DENIED
    store.faults.clear()
    before = store.served["large"]
    assert (await load_from(store.url, tmp_path)).reason is Reason.LOADED
    assert store.served["large"] <= LARGE + STREAMS * RANGE
    assert before


@pytest.mark.parametrize("token", ["", "again"])
async def test_a_listing_that_does_not_end_is_no_listing(store: Store, tmp_path: Path, token: str) -> None:
    store.objects["x"] = blob(1)
    store.fail_listing(*[faults.endless(token)] * 20)
    (tmp_path / "old").write_bytes(b"old")
    result = await load_from(store.url, tmp_path, delete=True)
    assert result.reason in {Reason.UNREACHABLE, Reason.INVALID_SPEC}, result.message
    assert (tmp_path / "old").exists()
    assert not store.gets


async def test_silence_ends_the_load(store: Store, tmp_path: Path) -> None:
    store.objects = {"small": blob(10)}
    store.fail("small", *[faults.stall(1)] * 50)
    patience = Patience(stall=600, silence=1)
    assert (await load_from(store.url, tmp_path, patience=patience)).reason is Reason.STALLED


async def test_nothing_is_fetched_twice(store: Store, tmp_path: Path) -> None:
    store.objects |= {f"many/{n:03d}": blob(n * 37, n) for n in range(300)}
    store.page = 50
    assert (await load_from(store.url, tmp_path)).reason is Reason.LOADED
    assert differing(store, tmp_path) == []
    assert store.served == {key: found.size for key, found in store.objects.items() if found.size}
    store.served.clear()
    assert (await load_from(store.url, tmp_path)).skipped == 303
    assert not store.served


async def _nothing(store: Store, request: object, key: str) -> None:
    """No fault."""
