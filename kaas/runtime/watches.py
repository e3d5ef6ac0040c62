"""From what a watch says to the index, and to the keys that have to be looked at. Knows nothing of who watches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from kaas.kube.objects import Object, metadata_without, name_of, uid
from kaas.kube.resources import Resource
from kaas.runtime.index import Index, version_of

log = logging.getLogger(__name__)

Name = tuple[str, str]
"""Namespace (empty for a kind without) and name."""


@dataclass(frozen=True)
class Watch:
    """One kind that a feature wants to see.

    keys: what has to be reconciled when the object appears, changes or goes; asked of its state before and after, as
    indexed. label_selector: applied by the server. transform: makes an object smaller before it is indexed; a change of
    what it drops means no keys. It is pure, may be called from any thread, and leaves as it is what it has made small.
    concern: the part of an object that the feature reads, where others read more: a change of the rest means no keys.
    puts: the feature itself puts what it writes into the index, and need not be told of that again; others are.
    urgent: of a state, whether its keys go before those of others, as when somebody waits for just that.
    """

    resource: Resource
    keys: Callable[[Object], Iterable[Hashable]]
    label_selector: str | None = None
    transform: Callable[[Object], Object] | None = None
    concern: Callable[[Object], Any] | None = None
    puts: bool = False
    urgent: Callable[[Object], bool] = lambda _: False


@dataclass(frozen=True)
class Subscription:
    """A watch, and who is told its keys. hurry: who is told the urgent ones, None for the same."""

    watch: Watch
    add: Callable[[Hashable], None]
    hurry: Callable[[Hashable], None] | None = None


@dataclass
class _Kind:
    """How far one kind, or one namespace of it, has been read."""

    listed: bool = False
    pending: set[Name] = field(default_factory=set)  # listed, their events still on the way
    floor: int = 0  # resource version of the newest list

    @property
    def synced(self) -> bool:
        return self.listed and not self.pending


class Feed:
    """Takes events and lists of watched kinds, keeps the index right, and hands out keys. One event loop's thread only.

    Lists matter: a watch that had to start anew does not say what was deleted meanwhile, its list does.
    """

    def __init__(self, index: Index, subscriptions: Iterable[Subscription]) -> None:
        self._index = index
        self._subscriptions: dict[tuple[str, str], list[Subscription]] = {}
        self._transforms: dict[tuple[str, str], list[Callable[[Object], Object]]] = {}
        self._resources: dict[tuple[str, str], Resource] = {}
        for subscription in subscriptions:
            self._subscribe(subscription)
        self._scopes: dict[tuple[tuple[str, str], str], _Kind] = {}
        self._on_sync: Callable[[], None] = lambda: None

    def _subscribe(self, subscription: Subscription) -> None:
        resource = subscription.watch.resource
        others = self._subscriptions.setdefault(resource.group_kind, [])
        if others and others[0].watch.label_selector != subscription.watch.label_selector:
            raise ValueError(f"{resource} is watched with two label selectors; give all its watches the same one")
        others.append(subscription)
        transform, known = subscription.watch.transform, self._transforms.setdefault(resource.group_kind, [])
        if transform and transform not in known:  # two features may keep the same of a kind
            known.append(transform)
        self._resources.setdefault(resource.group_kind, resource)

    @property
    def resources(self) -> list[Resource]:
        """Every kind that somebody wants to see, in the version asked for."""
        return list(self._resources.values())

    def selector(self, resource: Resource) -> str | None:
        """Label selector of the kind's watches."""
        return self._subscriptions[resource.group_kind][0].watch.label_selector

    def expect(self, scopes: Iterable[tuple[Resource, str]], on_sync: Callable[[], None]) -> None:
        """Name what will be listed: kind, and namespace or "" for all. `on_sync`: called when all is in the index."""
        self._scopes = {(resource.group_kind, namespace): _Kind() for resource, namespace in scopes}
        self._on_sync = on_sync
        self._check()

    @property
    def synced(self) -> bool:
        """Whether everything that was there at the last lists is in the index."""
        return all(kind.synced for kind in self._scopes.values())

    def unsynced(self) -> list[str]:
        """Kinds that are not read yet, for a person."""
        return [f"{kind}.{group}" for ((group, kind), _), scope in self._scopes.items() if not scope.synced]

    def made_small(self, resource: Resource, obj: Object) -> Object:
        """The object as it is kept. From any thread."""
        obj.setdefault("apiVersion", resource.api_version)  # items of a list come without
        obj.setdefault("kind", resource.kind)
        for transform in self._transforms[resource.group_kind]:
            obj = transform(obj)
        return obj

    def event(self, resource: Resource, event_type: str | None, obj: Object) -> None:
        """One event of a watch: `DELETED`, or anything else for an object that is there."""
        obj = self.made_small(resource, obj)
        if event_type == "DELETED":
            self._gone(resource, obj)
        else:
            self._there(resource, obj)
        self._arrived(resource, name_of(obj))

    def listing(self, resource: Resource, namespace: str) -> None:
        """Expect a new list; after a restored backup its versions may be older than those seen before."""
        self._scopes.setdefault((resource.group_kind, namespace), _Kind()).floor = 0

    def not_served(self, resource: Resource) -> None:
        """Drop what is known of a kind that the server does not have."""
        for known in self._index.list(resource):
            self._gone(resource, known)

    def listed(self, resource: Resource, namespace: str, names: set[Name], version: str) -> None:
        """A list has been read: what the index has in its scope and the list has not is gone."""
        scope = self._scopes.setdefault((resource.group_kind, namespace), _Kind())
        known = {name_of(o): o for o in self._index.list(resource, namespace or None)}
        for name in known.keys() - names:
            self._gone(resource, known[name])
        scope.pending = names - known.keys()
        scope.floor = int(version) if version.isdigit() else 0
        scope.listed = True
        self._check()

    def _there(self, resource: Resource, obj: Object) -> None:
        known = self._index.get(resource, *name_of(obj))
        if known is None and self._is_outdated(resource, obj):
            return
        ahead = self._index.caught_up(obj)
        if known is not None and version_of(known) == version_of(obj) and uid(known) == uid(obj):
            if ahead is not None and (ahead[0] is None or not _same(ahead[0], known)):
                self._notify(resource, *ahead, known, own=True)
            return
        before = self._index.put(obj, seen=True)
        after = self._index.get(resource, *name_of(obj))
        if before is None or after is None or not _same(before, after):
            self._notify(resource, before, after)

    def _gone(self, resource: Resource, obj: Object) -> None:
        self._index.caught_up(obj)
        known = self._index.remove(obj)
        if known is not None:
            self._notify(resource, known)

    def _is_outdated(self, resource: Resource, obj: Object) -> bool:
        """Whether a list newer than this state did not have the object: an event that was overtaken by the list."""
        name = name_of(obj)
        for namespace in ("", name[0]):
            scope = self._scopes.get((resource.group_kind, namespace))
            if scope and name not in scope.pending and version_of(obj) <= scope.floor:
                return True
        return False

    def _notify(self, resource: Resource, *states: Object | None, own: bool = False) -> None:
        """own: it is a write of ours, which whoever puts it into the index knows of."""
        there = [state for state in states if state is not None]
        for subscription in self._subscriptions[resource.group_kind]:
            if not (own and subscription.watch.puts) and not _unconcerned(subscription.watch, there):
                for state in there:
                    self._add_keys(subscription, state)

    def _add_keys(self, subscription: Subscription, obj: Object) -> None:
        """A feature that cannot read one object must not stop the events of all others."""
        try:
            hurry = subscription.hurry if subscription.watch.urgent(obj) else None
            for key in subscription.watch.keys(obj):
                (hurry or subscription.add)(key)
        except Exception:
            log.exception("no keys for %s %s", obj.get("kind"), "/".join(name_of(obj)))

    def _arrived(self, resource: Resource, name: Name) -> None:
        for namespace in ("", name[0]):
            scope = self._scopes.get((resource.group_kind, namespace))
            if scope and name in scope.pending:
                scope.pending.discard(name)
                self._check()

    def _check(self) -> None:
        if self.synced:
            self._on_sync()


def _same(before: Object, after: Object) -> bool:
    """Whether only the version differs: what changed is nothing that is kept."""
    return _without_version(before) == _without_version(after)


def _without_version(obj: Object) -> Object:
    return {**obj, "metadata": metadata_without(obj, "resourceVersion")}


def _unconcerned(watch: Watch, states: Sequence[Object]) -> bool:
    """Whether two states differ in nothing that the feature reads; it then knows the object already."""
    if watch.concern is None or len(states) != 2:  # noqa: PLR2004 - before and after
        return False
    before, after = (watch.concern(state) for state in states)
    return bool(before == after)
