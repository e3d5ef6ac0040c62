"""The parts of the adapter that need no API server: the inbox between threads, and lists put together from pages."""

from __future__ import annotations

import asyncio
import threading
from itertools import islice
from typing import Any

import aiohttp
import pytest
from yarl import URL

from kaas.kube.resources import MACHINE, SITE, Resource
from kaas.runtime import kopf_adapter
from kaas.runtime.inbox import GATHER, SLICE, Inbox
from kaas.runtime.index import Index
from kaas.runtime.kopf_adapter import KopfEnded, _Lists, _Operator, _Pauses
from kaas.runtime.watches import Feed

ITEMS = [{"metadata": {"namespace": "t", "name": name}} for name in "abc"]


async def test_inbox_keeps_the_order_of_a_thread() -> None:
    inbox, seen, done = Inbox(asyncio.get_running_loop()), list[int](), asyncio.Event()

    def post() -> None:
        for number in range(1000):
            inbox.post(lambda n=number: seen.append(n))  # type: ignore[misc]
        inbox.post(done.set)

    thread = threading.Thread(target=post)
    thread.start()
    await done.wait()
    thread.join()
    assert seen == list(range(1000))


async def test_inbox_lets_others_run_between_slices() -> None:
    loop = asyncio.get_running_loop()
    inbox, turns, done = Inbox(loop), list[str](), asyncio.Event()

    def busy() -> None:
        end = loop.time() + 0.02
        while loop.time() < end:
            pass
        turns.append("event")

    for _ in range(3):
        inbox.post(busy)
    inbox.post(done.set)
    loop.call_later(GATHER + SLICE / 2, turns.append, "other")
    await done.wait()
    assert sorted(turns) == ["event"] * 3 + ["other"]
    assert turns[-1] == "event"


async def test_closed_inbox_makes_no_calls_and_forgets_nothing_told() -> None:
    inbox, seen, told = Inbox(asyncio.get_running_loop()), list[int](), asyncio.Event()
    inbox.post(lambda: seen.append(1))
    inbox.close()
    inbox.tell(told.set)
    await told.wait()
    assert seen == []


def test_inbox_of_a_closed_loop() -> None:
    loop = asyncio.new_event_loop()
    inbox = Inbox(loop)
    loop.close()
    inbox.post(lambda: None)
    inbox.tell(lambda: None)


class Seen:
    """What lists reported."""

    def __init__(self) -> None:
        self.started: list[tuple[Resource, str]] = []
        self.lists: list[Any] = []
        paths = {MACHINE.path("t"): (MACHINE, "t"), SITE.path(): (SITE, "")}
        self.of = _Lists(paths, small, lambda *a: self.started.append(a), lambda *a: self.lists.append(a))

    def page(self, path: str, items: list[Any] | None, *, version: str = "7", more: str = "", **query: str) -> Any:
        """Show a page; returns it as kopf gets it."""
        answer = {"items": items, "metadata": {"resourceVersion": version, "continue": more}}
        self.of.page(URL(f"https://x{path}").with_query(query), answer)
        return answer


def small(resource: Resource, obj: Any) -> Any:
    return {"kind": resource.kind, "metadata": obj["metadata"]}


def test_objects_of_a_page_are_small_before_kopf_gets_them() -> None:
    answer = Seen().page(MACHINE.path("t"), [{**ITEMS[0], "status": {"large": "x"}}])
    assert answer["items"] == [small(MACHINE, ITEMS[0])]


def test_one_page() -> None:
    seen = Seen()
    seen.page(MACHINE.path("t"), ITEMS, labelSelector="a")
    assert seen.started == [(MACHINE, "t")]
    assert seen.lists == [(MACHINE, "t", {("t", "a"), ("t", "b"), ("t", "c")}, "7")]


def test_several_pages_and_one_that_starts_anew() -> None:
    seen, path = Seen(), MACHINE.path("t")
    seen.page(path, ITEMS[:1], more="x")
    seen.page(path, ITEMS[1:2], more="x")
    seen.page(path, ITEMS[1:2], more="y", **{"continue": "x"})
    seen.page(path, ITEMS[2:], **{"continue": "y"})
    assert len(seen.started) == 2
    assert seen.lists == [(MACHINE, "t", {("t", "b"), ("t", "c")}, "7")]


def test_empty_lists_and_other_answers() -> None:
    seen = Seen()
    seen.page(SITE.path(), None)
    assert seen.lists == [(SITE, "", set(), "7")]
    seen.page(MACHINE.path("other"), ITEMS)
    seen.of.page(URL("https://x/apis"), {"groups": []})
    seen.of.page(URL(f"https://x{SITE.path()}"), {"kind": "Status"})
    assert len(seen.lists) == 1


class DeadKopf:
    """Signs in, closes the session as kopf does when a watch gives up, and never ends."""

    async def operator(self, registry: Any, **_: Any) -> None:
        (login,) = registry._activities.get_all_handlers()
        session = await login.fn()
        await session.aiohttp_session.close()
        await asyncio.Event().wait()


class FakeClient:
    server = "https://x"

    async def watch_session(self, response_class: Any) -> aiohttp.ClientSession:
        return aiohttp.ClientSession()


async def test_kopf_that_is_dead_and_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kopf_adapter, "DEAD", 1)
    monkeypatch.setattr("kopf.operator", DeadKopf().operator)
    operator = _Operator(FakeClient(), Feed(Index(), []), [], ())  # type: ignore[arg-type]
    with pytest.raises(KopfEnded, match="gave up"):
        await operator.wait()
    await operator.stop()


def test_a_request_is_repeated_without_an_end() -> None:
    assert list(islice(_Pauses(), 8)) == [0.2, 0.5, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0]
    assert list(islice(_Pauses(), 2)) == [0.2, 0.5]
