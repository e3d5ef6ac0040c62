"""The watches, run by kopf: the only module that imports it.

kopf lists, watches, reconnects and notices silent connections. Nothing else of it is used: no annotations, finalizers,
patches, events or peering, so it never writes. It runs in a thread with an event loop of its own, because it ends every
task of its loop when it stops and takes over the process's signals; so the parsing of large lists does not hold up the
reconciles either.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import chain, repeat
from typing import Any

import aiohttp
import kopf
from yarl import URL

from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError
from kaas.kube.objects import Object, name_of
from kaas.kube.resources import Resource
from kaas.runtime.backlog import Backoff
from kaas.runtime.clock import Clock, SystemClock
from kaas.runtime.inbox import Inbox
from kaas.runtime.watches import Feed, Name

log = logging.getLogger(__name__)
logging.getLogger("kopf").setLevel(logging.WARNING)  # it has a line for every event of every object
logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)  # warns that a thread gets no signals

PAGE = 100  # objects a page of a list: decoding one holds up every thread, for 5 ms with objects of 10 KB
LOOK_FOR_MISSING_KINDS = 300.0  # seconds
DEAD = 10  # seconds after which a closed session is not one that is being replaced
_RECONNECTS = (0.2, 0.5, 1.0, 2.0, 3.0, 5.0)


class KopfWatches:
    """Keeps a Feed fed until `stop`. `run` returns only then, or with the error that makes watching impossible.

    namespaces: those to watch; none means all. look_for_missing: seconds between looks for kinds not installed.
    """

    def __init__(
        self,
        client: KubeClient,
        feed: Feed,
        *,
        namespaces: Iterable[str] = (),
        clock: Clock | None = None,
        look_for_missing: float = LOOK_FOR_MISSING_KINDS,
    ) -> None:
        self._client = client
        self._feed = feed
        self._namespaces = tuple(namespaces)
        self._clock = clock or SystemClock()
        self._look_for_missing = look_for_missing
        self._stopping = asyncio.Event()
        self.synced = asyncio.Event()
        """Set once everything that exists is in the index; stays set when a watch has to start anew."""

    async def run(self) -> None:
        """Watch; start again with growing pauses when kopf ends by an error, or when a missing kind appears."""
        backoff, failures = Backoff(first=1.0, longest=30.0), 0
        while not self._stopping.is_set():
            try:
                await self._run_once()
                failures = 0
            except (KubeError, KopfEnded) as failure:
                failures += 1
                pause = backoff.delay(failures, 0.5)
                log.warning("watches ended, again in %.0f s: %s", pause, failure)
                await self._unless_stopped(self._clock.sleep(pause))

    async def stop(self) -> None:
        """Have `run` return; takes a second or two."""
        self._stopping.set()

    async def _run_once(self) -> None:
        found, missing = await self._discover()
        if missing:
            log.info("not watched, their kinds are not installed: %s", ", ".join(str(r) for r in missing))
            for resource in missing:
                self._feed.not_served(resource)
        scopes = [(r, n) for r in found for n in (self._namespaces if r.namespaced and self._namespaces else ("",))]
        self._feed.expect(scopes, self.synced.set)
        operator = _Operator(self._client, self._feed, scopes, self._namespaces)
        waits = [operator.wait(), self._stopping.wait()]
        if missing:
            waits.append(self._until_any_served(missing))
        tasks = [asyncio.ensure_future(w) for w in waits]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if tasks[0].done():
                tasks[0].result()
        finally:
            await operator.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _discover(self) -> tuple[list[Resource], list[Resource]]:
        """Kinds in the version that the server serves, the one asked for if possible; and those that it has not."""
        found: list[Resource] = []
        missing: list[Resource] = []
        catalogue: dict[str, list[Resource]] = {}
        for resource in self._feed.resources:
            served = await self._served(resource, catalogue)
            (found if served else missing).append(served or resource)
        return found, missing

    async def _served(self, resource: Resource, catalogue: dict[str, list[Resource]]) -> Resource | None:
        versions = [resource.version]
        if resource.group:
            versions += [v for v in await self._client.group_versions(resource.group) if v != resource.version]
        for candidate in (resource.at(v) for v in versions):
            if candidate.api_version not in catalogue:
                catalogue[candidate.api_version] = await self._client.served(candidate.api_version)
            for served in catalogue[candidate.api_version]:
                if served.kind == resource.kind:
                    return served
        return None

    async def _until_any_served(self, missing: list[Resource]) -> None:
        while True:
            await self._clock.sleep(self._look_for_missing)
            with suppress(KubeError):
                for resource in missing:
                    if await self._served(resource, {}):
                        log.info("%s is installed now", resource)
                        return

    async def _unless_stopped(self, wait: Any) -> None:
        tasks = [asyncio.ensure_future(wait), asyncio.ensure_future(self._stopping.wait())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()


class KopfEnded(Exception):
    """kopf stopped watching; the cause says why."""


class _Operator:
    """One life of kopf in its thread."""

    def __init__(
        self,
        client: KubeClient,
        feed: Feed,
        scopes: list[tuple[Resource, str]],
        namespaces: tuple[str, ...],
    ) -> None:
        self._client = client
        self._scopes = scopes
        self._namespaces = namespaces
        self._inbox = Inbox(asyncio.get_running_loop())
        self._feed = feed
        self._ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._session: aiohttp.ClientSession | None = None
        paths = {r.path(n or None): (r, n) for r, n in scopes}
        self._lists = _Lists(paths, feed.made_small, self._post_start, self._post_list)
        self._thread = threading.Thread(target=self._main, name="kopf", daemon=True)
        self._thread.start()

    async def wait(self) -> None:
        """Return never; KopfEnded when the thread ended."""
        failure = await asyncio.shield(self._ended)
        raise KopfEnded(str(failure or "without an error")) from failure

    async def stop(self, patience: float = 8.0) -> None:
        """End the thread. One that does not end in time is left behind; it does not keep the process alive."""
        self._inbox.close()
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # the loop is closed: it ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await asyncio.shield(self._ended)

    def _main(self) -> None:
        failure: BaseException | None = None
        try:
            asyncio.run(self._operate())
        except BaseException as error:
            failure = error
        self._inbox.tell(lambda: self._finish(failure))

    def _finish(self, failure: BaseException | None) -> None:
        if not self._ended.done():
            self._ended.set_result(failure)

    async def _operate(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        dead = asyncio.create_task(self._until_dead())  # before kopf, which ends every task that is younger
        operator = asyncio.create_task(
            kopf.operator(
                registry=self._registry(),
                settings=self._settings(),
                standalone=True,
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                stop_flag=self._stop,
            )
        )
        await asyncio.wait([operator, dead], return_when=asyncio.FIRST_COMPLETED)
        if operator.done():
            dead.cancel()
            operator.result()
            return
        failure = KopfEnded("one watch gave up, and the others never ended")
        self._inbox.tell(lambda: self._finish(failure))  # ending this loop waits for the same tasks

    async def _until_dead(self) -> None:
        """Return when kopf has closed its session for good: when one watch fails, the others may wait for ever."""
        closed = 0
        while closed < DEAD:
            await asyncio.sleep(1.0)
            closed = closed + 1 if self._session is not None and self._session.closed else 0

    def _registry(self) -> kopf.OperatorRegistry:
        registry = kopf.OperatorRegistry()
        kopf.on.login(registry=registry)(self._login)
        for resource in {r for r, _ in self._scopes}:
            listen = kopf.on.event(resource.group, resource.version, resource.plural, registry=registry)
            listen(self._listener(resource))
        return registry

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        self._session = await self._client.watch_session(_observing(self._lists.page))
        return kopf.AiohttpSession(server=self._client.server, aiohttp_session=self._session)

    def _listener(self, resource: Resource) -> Any:
        async def listen(event: Any, **_: Any) -> None:
            kind, obj = event["type"], event["object"]
            self._inbox.post(lambda: self._feed.event(resource, kind, obj))

        return listen

    def _post_start(self, resource: Resource, namespace: str) -> None:
        self._inbox.post(lambda: self._feed.listing(resource, namespace))

    def _post_list(self, resource: Resource, namespace: str, names: set[Name], version: str) -> None:
        self._inbox.post(lambda: self._feed.listed(resource, namespace, names, version))

    def _settings(self) -> kopf.OperatorSettings:
        settings = kopf.OperatorSettings()
        settings.posting.enabled = False
        settings.scanning.disabled = True  # a watch of all CRDs costs megabytes; missing kinds are looked for apart
        settings.process.ultimate_exiting_timeout = None
        settings.networking.request_timeout = 60
        settings.networking.connect_timeout = 5
        settings.networking.error_backoffs = _Pauses()
        settings.watching.chunk_size = PAGE
        settings.watching.inactivity_timeout = 70  # bookmarks come every 60 seconds
        settings.queueing.idle_timeout = 0.1  # an object's task ends soon; with worker_limit unset it blocks nobody
        settings.queueing.exit_timeout = 0.5
        settings.persistence.diffbase_storage = _NoMemory()
        settings.persistence.progress_storage = _NoProgress()
        for resource in {r for r, _ in self._scopes}:
            if selector := self._feed.selector(resource):
                key = (resource.group, resource.version, resource.plural)
                settings.watching.label_selectors[key] = selector
        return settings


class _Lists:
    """Puts the pages of kopf's lists together again, to learn what exists. In kopf's thread.

    small: makes an object as small as it is kept, before kopf makes a task for each object of a page.
    """

    def __init__(
        self,
        paths: dict[str, tuple[Resource, str]],
        small: Callable[[Resource, Object], Object],
        started: Callable[[Resource, str], None],
        report: Callable[[Resource, str, set[Name], str], None],
    ) -> None:
        self._paths = paths
        self._small = small
        self._started = started
        self._report = report
        self._names: dict[str, set[Name]] = {}

    def page(self, url: URL, answer: Any) -> None:
        """See one answer; not every one is a list of a watched kind."""
        if url.path not in self._paths or not isinstance(answer, dict) or "items" not in answer:
            return
        if "continue" not in url.query:
            self._names[url.path] = set()
            self._started(*self._paths[url.path])
        names = self._names.setdefault(url.path, set())
        resource, namespace = self._paths[url.path]
        answer["items"] = [self._small(resource, item) for item in answer["items"] or []]
        names.update(name_of(item) for item in answer["items"])
        meta = answer.get("metadata") or {}
        if not meta.get("continue"):
            self._report(resource, namespace, self._names.pop(url.path), str(meta.get("resourceVersion") or ""))


class _Pauses(Iterable[float]):
    """Seconds before a request is sent again, without an end: a server may be away for longer than any list."""

    def __iter__(self) -> Iterator[float]:
        return chain(_RECONNECTS, repeat(_RECONNECTS[-1]))


class _NoMemory(kopf.DiffBaseStorage):
    """Keeps no copy of what was last seen: kopf would make two of every object at every event, and we ask for none."""

    def build(self, **_: Any) -> Any:
        return {}

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        """Do nothing."""


class _NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers: ours have none."""

    def fetch(self, **_: Any) -> Any:
        return None

    def store(self, **_: Any) -> None:
        """Do nothing."""

    def purge(self, **_: Any) -> None:
        """Do nothing."""

    def touch(self, **_: Any) -> None:
        """Do nothing."""

    def clear(self, *, essence: Any) -> Any:
        return essence


def _observing(see: Callable[[URL, Any], None]) -> type[aiohttp.ClientResponse]:
    """Class of responses that shows what it decoded to `see`."""

    class Observed(aiohttp.ClientResponse):
        """A response whose JSON is seen by us before kopf gets it."""

        async def json(self, **options: Any) -> Any:
            answer = await super().json(**options)
            see(self.url, answer)
            return answer

    return Observed
