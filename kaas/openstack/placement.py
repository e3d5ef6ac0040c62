"""What is asked of Placement: on how many hosts one more server of a flavor would find room.

Placement's own policy allows its allocation candidates to administrators and services only, and Nova's the aggregates
that say which hosts a zone has: a project that may not ask gets a CloudError with kind Forbidden.

These functions block, and raise whatever the SDK raises, or CloudError.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from openstack.connection import Connection
from openstack.exceptions import raise_from_response
from openstack.utils import maximum_supported_microversion

from kaas.openstack.errors import CloudError, Kind, Problem
from kaas.openstack.servers import get

_CANDIDATES: Final = "1.36"  # of Train, 2019; 1.33 takes groups with names
_WITH_SPECS: Final = "2.61"  # flavors with their extra specs
_WITH_UUID: Final = "2.41"  # aggregates with their uuid
_MANY: Final = 1000
_KEY: Final = re.compile(r"(resources|trait)([a-zA-Z0-9_-]{1,64})?:(.+)")  # nova/scheduler/utils.py, XS_KEYPAT
_MB_IN_GB: Final = 1024


def hosts(cloud: Connection, flavor: str, zone: str | None, wanted: int) -> int:
    """Hosts on which a server of a flavor would find room now; at least `wanted` are counted if there are so many.

    zone: Nova's availability zone, None for any. What Placement is not told of, as GPUs that Nova passes through, is
    not looked at.
    """
    query = [*request(_flavor(cloud, flavor)), *_within(cloud, zone)]
    query.append(("limit", "1" if wanted <= 1 else str(_MANY)))
    answer = cloud.placement.get(f"/allocation_candidates?{urlencode(query)}", microversion=_CANDIDATES)
    raise_from_response(answer)
    return _roots(answer.json())


def request(flavor: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The resources and traits of a flavor as Nova's scheduler asks for them (nova/scheduler/utils.py)."""
    specs: Mapping[str, str] = flavor.get("extra_specs") or {}
    amounts: dict[str, dict[str, int]] = defaultdict(dict)
    traits: dict[str, list[str]] = defaultdict(list)
    traits[""].append("!COMPUTE_STATUS_DISABLED")
    for key, value in sorted(specs.items()):
        if (match := _KEY.fullmatch(key)) is None:
            continue
        kind, group, name = match[1], match[2] or "", match[3]
        if kind == "resources":
            amounts[group][name] = int(value)
        else:
            traits[group].append(f"!{name}" if value == "forbidden" else name)
    told = {name for group in amounts.values() for name in group}
    amounts[""] |= {name: n for name, n in _own(flavor, specs).items() if name not in told}
    return [*_resources(amounts), *_traits(traits), *_policy(specs)]


def _own(flavor: Mapping[str, Any], specs: Mapping[str, str]) -> dict[str, int]:
    """What the flavor itself says; its extra specs go before that, for bare metal with 0."""
    told = {key.partition(":")[2] for key in specs if key.startswith("resources")}
    cpu = "PCPU" if specs.get("hw:cpu_policy") == "dedicated" else "VCPU"
    cpus = {} if told & {"PCPU", "VCPU"} else {cpu: int(flavor["vcpus"])}
    swap = -(-int(flavor.get("swap") or 0) // _MB_IN_GB)
    disk = int(flavor["disk"]) + int(flavor.get("OS-FLV-EXT-DATA:ephemeral") or 0) + swap
    return {**cpus, "MEMORY_MB": int(flavor["ram"]), "DISK_GB": disk}


def _resources(amounts: Mapping[str, Mapping[str, int]]) -> Iterable[tuple[str, str]]:
    for group, found in sorted(amounts.items()):
        if some := ",".join(f"{name}:{n}" for name, n in sorted(found.items()) if n):
            yield f"resources{group}", some


def _traits(traits: Mapping[str, Iterable[str]]) -> Iterable[tuple[str, str]]:
    return ((f"required{group}", ",".join(names)) for group, names in sorted(traits.items()))


def _policy(specs: Mapping[str, str]) -> Iterable[tuple[str, str]]:
    return [("group_policy", specs["group_policy"])] if "group_policy" in specs else []


def _flavor(cloud: Connection, name: str) -> Mapping[str, Any]:
    microversion = maximum_supported_microversion(cloud.compute, _WITH_SPECS)
    found: Iterable[Mapping[str, Any]] = get(cloud, f"/flavors/detail?limit={_MANY}", microversion)["flavors"]
    flavor = next((f for f in found if f["name"] == name), None)
    if flavor is None:
        raise CloudError(Problem(Kind.REFUSED, f"there is no flavor {name!r}"))
    return flavor


def _within(cloud: Connection, zone: str | None) -> list[tuple[str, str]]:
    """The aggregates of a zone: Nova tells Placement of them under the same uuid."""
    if zone is None:
        return []
    aggregates = get(cloud, "/os-aggregates", _WITH_UUID)["aggregates"]
    of_zone = [a["uuid"] for a in aggregates if a.get("availability_zone") == zone]
    if not of_zone:
        raise CloudError(Problem(Kind.REFUSED, f"no host aggregate has the availability zone {zone!r}"))
    return [("member_of", f"in:{','.join(of_zone)}")]


def _roots(answer: Mapping[str, Any]) -> int:
    """Different hosts: the resources of one may be spread over several providers below it."""
    summaries = answer["provider_summaries"]
    providers = {p for candidate in answer["allocation_requests"] for p in candidate["allocations"]}
    return len({summaries[p].get("root_provider_uuid") or p for p in providers})
