"""What is asked of Nova about servers. These functions block, and raise whatever the SDK raises, or CloudError."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from openstack.connection import Connection
from openstack.exceptions import raise_from_response
from openstack.utils import maximum_supported_microversion

from kaas.openstack.errors import clean
from kaas.openstack.facts import ServerAction, ServerFacts

# 2.16 shows host_status to those who may see it; later ones only make the answer longer.
_SHOWN: Final = "2.16"
# Servers a page: no thread of the process goes on while one is decoded, which takes 10 ms for Nova's own 1,000.
_PAGE: Final = 250
_POWER: Final = {1: "running", 3: "paused", 4: "shutdown", 6: "crashed", 7: "suspended"}


def listing(cloud: Connection, _project: str) -> Mapping[str, ServerFacts]:
    """The project's servers, by id."""
    return {raw["id"]: parse(raw) for raw in _pages(cloud)}


def _pages(cloud: Connection) -> Iterator[Mapping[str, Any]]:
    microversion = maximum_supported_microversion(cloud.compute, _SHOWN)
    query = f"limit={_PAGE}"
    while True:
        page = get(cloud, f"/servers/detail?{query}", microversion)
        yield from page["servers"]
        if not page["servers"] or not page.get("servers_links"):
            return
        query = f"limit={_PAGE}&marker={page['servers'][-1]['id']}"


def one(cloud: Connection, server_id: str) -> ServerFacts | None:
    """One server; None when there is no such."""
    microversion = maximum_supported_microversion(cloud.compute, _SHOWN)
    answer = cloud.compute.get(f"/servers/{server_id}", microversion=microversion)
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return None
    raise_from_response(answer)
    return parse(answer.json()["server"])


def actions(cloud: Connection, server_id: str) -> tuple[ServerAction, ...]:
    """What was begun with a server, the oldest first; nothing when there is no such server."""
    answer = cloud.compute.get(f"/servers/{server_id}/os-instance-actions")
    if answer.status_code == HTTPStatus.NOT_FOUND:
        return ()
    raise_from_response(answer)
    found = (_action(raw) for raw in answer.json()["instanceActions"])
    return tuple(sorted(found, key=lambda action: action.started))


def get(cloud: Connection, path: str, microversion: str | None = None) -> Any:
    """Nova's answer."""
    answer = cloud.compute.get(path, microversion=microversion)
    raise_from_response(answer)
    return answer.json()


def parse(raw: Mapping[str, Any]) -> ServerFacts:
    """A server as Nova shows it."""
    image = raw.get("image")
    return ServerFacts(
        id=raw["id"],
        name=raw["name"],
        status=raw["status"],
        power=_POWER.get(raw.get("OS-EXT-STS:power_state") or 0, ""),
        task=raw.get("OS-EXT-STS:task_state") or "",
        host=raw.get("hostId") or "",
        host_status=raw.get("host_status") or "",
        fault=clean(str((raw.get("fault") or {}).get("message") or "")),
        locked=bool(raw.get("locked")),
        image=str(image.get("id") or "") if isinstance(image, Mapping) else "",
    )


def _action(raw: Mapping[str, Any]) -> ServerAction:
    return ServerAction(
        action=raw["action"],
        request_id=raw["request_id"],
        started=_utc(raw["start_time"]),
        message=clean(str(raw.get("message") or "")),
    )


def _utc(text: str) -> datetime:
    """Nova writes times in UTC and does not say so."""
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return found if found.tzinfo else found.replace(tzinfo=UTC)
