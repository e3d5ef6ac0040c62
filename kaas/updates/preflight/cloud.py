"""What an update needs of the cloud: the image, and quota and room for machines that come first. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from kaas.updates.preflight.facts import Found, PreflightFacts, Unknown, unknown
from kaas.updates.preflight.surge import Need, needs

ACTIVE: Final = "active"
"""Status of an image in Glance from which servers can be made."""


def unreachable_cloud(facts: PreflightFacts) -> Iterator[Found]:
    """The cloud lets us in and answers."""
    if facts.cloud_away:
        yield Found(f"the cloud of Site {_site(facts)} could not be asked: {facts.cloud_away}")


def image_active(facts: PreflightFacts) -> Iterator[Found]:
    """The image that the new machines boot from is there, is one, and can be used."""
    if facts.cloud is None:
        return
    if facts.image is None:
        yield Found(
            f"there is no image for {facts.case.aims.version}: make a Release of it, which names its spec.image"
        )
        return
    images = facts.cloud.images
    if isinstance(images, Unknown):
        if not facts.cloud_away:
            yield unknown(f"image {facts.image!r} in the cloud of Site {_site(facts)}", images)
        return
    if facts.image not in images:
        yield Found(
            f"the cloud of Site {_site(facts)} has no image {facts.image!r}, which machines of "
            f"{facts.case.aims.version} are made from: upload it, or name another in spec.images of the Site"
        )
    elif images[facts.image] != ACTIVE:
        yield Found(
            f"image {facts.image!r} in the cloud of Site {_site(facts)} is {images[facts.image]!r}, not active: "
            "upload it anew, or remove the one that should not be there"
        )


def quota_for_surge(facts: PreflightFacts) -> Iterator[Found]:
    """The project's quota leaves room for the machines of each step that come before the old ones go."""
    cloud = facts.cloud
    if cloud is None or facts.cloud_away:
        return
    if isinstance(cloud.free, Unknown) or isinstance(cloud.flavors, Unknown):
        why = next(v for v in (cloud.free, cloud.flavors) if isinstance(v, Unknown))
        yield unknown(f"the quota of Site {_site(facts)}", why)
        return
    if cloud.network is not None:
        yield unknown(f"the quota of ports of Site {_site(facts)}", cloud.network)
    for need in _together(needs(facts.case)):
        size = cloud.flavors.get(need.flavor)
        if size is None:
            yield Found(
                f"{need.field}.flavor: the cloud of Site {_site(facts)} has no flavor {need.flavor!r} any more, and "
                f"{need.name} needs a new machine: create it there"
            )
            continue
        yield from _short(facts, need, size, cloud.free)


def _together(found: list[Need]) -> list[Need]:
    """The zones of one pool together: they surge at the same time. The control plane has one machine more in all."""
    by_name: dict[str, Need] = {}
    for need in found:
        before = by_name.get(need.name)
        more = before.servers if before is not None and need.name.startswith("pool ") else 0
        by_name[need.name] = Need(need.name, need.field, need.flavor, None, need.servers + more)
    return list(by_name.values())


def _short(facts: PreflightFacts, need: Need, size: tuple[int, int], free: Mapping[str, int]) -> Iterator[Found]:
    n = need.servers
    wanted = {"instances": n, "cores": n * size[0], "ram_mb": n * size[1], "ports": n}
    short = [f"{name} {max(free[name], 0)} of {want}" for name, want in wanted.items() if free.get(name, want) < want]
    if short:
        machines = "one machine" if n == 1 else f"{n} machines"
        yield Found(
            f"quota of Site {_site(facts)}: {need.name} needs {machines} of flavor {need.flavor} more for a while, and "
            f"too little is left ({', '.join(short)}): raise the project's quota, free some, or let the pool update "
            "without a surge"
        )


def capacity_for_surge(facts: PreflightFacts) -> Iterator[Found]:
    """Placement knows a host for each machine that comes before an old one goes."""
    if facts.cloud is None or facts.cloud_away:
        return
    rooms, said = facts.cloud.rooms, set()
    for need in needs(facts.case):
        room = rooms.get((need.flavor, need.zone), Unknown("too many flavors and zones to ask about each"))
        where = f"in zone {need.zone}" if need.zone else f"on Site {_site(facts)}"
        if isinstance(room, Unknown):
            if room.why not in said:
                said.add(room.why)
                yield unknown(f"room for flavor {need.flavor} {where}", room)
        elif room == 0:
            yield Found(
                f"{need.field}.flavor: no host {where} has room for one more server of flavor {need.flavor}, which "
                f"{need.name} needs for a while: free some, or let the pool update without a surge"
            )
        elif room < need.servers:
            yield Found(
                f"{need.name} needs {need.servers} servers of flavor {need.flavor} {where} for a while, and {room} "
                "hosts have room for one or more",
                warns=True,
            )


def _site(facts: PreflightFacts) -> str:
    return facts.case.site.metadata.name
