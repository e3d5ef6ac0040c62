"""One container: what it has, what it is given, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from kaas.credentials.pods.groups import Bundle, Entry, Group, Mount

Op = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """What has been decided. volumes: those that some container mounts. clouds: those that some container has."""

    patch: list[Op] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    volumes: set[str] = field(default_factory=set)
    clouds: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Container:
    """A container of a Pod, by its path in it. present: its variables; paths: where something is mounted, and what."""

    path: str
    raw: dict[str, Any]
    present: dict[str, Entry]
    paths: dict[str, str]
    env: list[Entry] = field(default_factory=list)
    mounts: list[Entry] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Its name, for a person."""
        return name_of(self.raw) or self.path


def name_of(raw: dict[str, Any]) -> str:
    """Name of a container; empty when it has none."""
    name = raw.get("name")
    return name if isinstance(name, str) else ""


def container_at(path: str, raw: dict[str, Any]) -> Container | None:
    """A container; None when its lists are none, which the API server will not take anyway."""
    env, mounts = raw.get("env"), raw.get("volumeMounts")
    if not (env is None or isinstance(env, list)) or not (mounts is None or isinstance(mounts, list)):
        return None
    return Container(path, raw, dict(_variables(env)) if env else {}, dict(_paths(raw)))


def _variables(env: list[Any]) -> Iterator[tuple[str, Entry]]:
    """The last of a name is the one that counts."""
    for entry in env:
        if isinstance(entry, dict):
            name = entry.get("name")
            if isinstance(name, str):
                yield name, entry


def _paths(raw: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """A block device takes a path as a mount does."""
    for key, path_key in (("volumeMounts", "mountPath"), ("volumeDevices", "devicePath")):
        found = raw.get(key)
        for entry in found if isinstance(found, list) else ():
            path = entry.get(path_key) if isinstance(entry, dict) else None
            if isinstance(path, str):
                yield path.rstrip("/"), str(entry.get("name"))


def give(draft: Draft, container: Container, bundles: list[Bundle]) -> None:
    """Add to the draft what a container is given of some bundles."""
    for bundle in bundles:
        if _give_bundle(draft, container, bundle):
            draft.clouds.add(bundle.cloud)
    _append(draft.patch, container, "env", container.env)
    _append(draft.patch, container, "volumeMounts", container.mounts)


def _give_bundle(draft: Draft, container: Container, bundle: Bundle) -> bool:
    """Whether the container has this cloud's credentials now."""
    before = len(container.env)
    for group in bundle.groups:
        problem = _problem(container, group)
        if not problem:
            _give_group(draft, container, group)
            continue
        if group.leads:
            draft.warnings.append(f"{problem}: it is given nothing for {bundle.cloud.upper()}")
            return False
        if not group.quiet:
            left = ", ".join(group.desired)
            draft.warnings.append(f"{problem}: {left} left as they are")
    if container.raw.get("envFrom") and len(container.env) > before:
        text = f"variables for {bundle.cloud.upper()} are added, and win over those of the same name in its envFrom"
        draft.warnings.append(f'container "{container.name}": {text}')
    return True


def _problem(container: Container, group: Group) -> str:
    """Why a group cannot be added; empty when it can, or when it is there already."""
    if not group.names.isdisjoint(container.present):
        for name, entry in container.present.items():
            if name in group.names and entry != group.desired.get(name):
                return f'container "{container.name}" sets {name} itself'
    for mount in group.mounts:
        if container.paths.get(mount.path, mount.volume) != mount.volume:
            return f'container "{container.name}" mounts something else at {mount.path}'
    return ""


def _give_group(draft: Draft, container: Container, group: Group) -> None:
    if group.names.isdisjoint(container.present):
        container.env.extend(group.entries)
    else:
        container.env.extend(e for e in group.entries if e["name"] not in container.present)
    for mount in group.mounts:
        draft.volumes.add(mount.volume)
        _mount(container, mount)


def _mount(container: Container, mount: Mount) -> None:
    if mount.path not in container.paths:
        container.paths[mount.path] = mount.volume
        container.mounts.append(mount.entry())


def _append(patch: list[Op], container: Container, key: str, added: list[Entry]) -> None:
    path = f"{container.path}/{key}"
    if not added:
        return
    if not container.raw.get(key):
        patch.append({"op": "add", "path": path, "value": added})
    else:
        end = f"{path}/-"
        patch += [{"op": "add", "path": end, "value": entry} for entry in added]
