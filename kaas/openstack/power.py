"""What is done to servers. These functions block; they return Nova's request id, as `ServerAction` has it."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Final

from openstack.connection import Connection
from openstack.exceptions import raise_from_response
from requests import Response

from kaas.openstack import servers
from kaas.openstack.errors import CloudError, Kind, Problem, clean

# The first that writes an image anew on a root volume: before it, Nova rebuilds such a server and keeps its disk.
_REIMAGE: Final = "2.93"
_KINDS: Final = {
    HTTPStatus.FORBIDDEN: Kind.FORBIDDEN,
    HTTPStatus.CONFLICT: Kind.CONFLICT,
    HTTPStatus.BAD_REQUEST: Kind.REFUSED,
    HTTPStatus.NOT_FOUND: Kind.REFUSED,
    HTTPStatus.NOT_ACCEPTABLE: Kind.REFUSED,
}


def reboot(cloud: Connection, server_id: str, *, hard: bool) -> str:
    """Reboot; soft asks the operating system to, hard does not."""
    return _act(cloud, server_id, {"reboot": {"type": "HARD" if hard else "SOFT"}})


def stop(cloud: Connection, server_id: str) -> str:
    """Switch off."""
    return _act(cloud, server_id, {"os-stop": None})


def start(cloud: Connection, server_id: str) -> str:
    """Switch on."""
    return _act(cloud, server_id, {"os-start": None})


def rebuild(cloud: Connection, server_id: str, image: str | None) -> str:
    """Write the disk anew on the same host; addresses, name and user data stay.

    image: its id; None for the one that the server was made from.
    """
    found = servers.one(cloud, server_id)
    if found is None:
        raise _refused(Kind.REFUSED, f"there is no server {server_id}")
    if found.image:
        return _act(cloud, server_id, {"rebuild": {"imageRef": image or found.image}})
    return _act(cloud, server_id, {"rebuild": {"imageRef": image or _volume_image(cloud, server_id)}}, _REIMAGE)


def _volume_image(cloud: Connection, server_id: str) -> str:
    """The image that a server's root volume was made from."""
    attached = servers.get(cloud, f"/servers/{server_id}")["server"].get("os-extended-volumes:volumes_attached") or []
    for volume in attached:
        metadata = cloud.block_storage.get_volume(volume["id"]).volume_image_metadata or {}
        if metadata.get("image_id"):
            return str(metadata["image_id"])
    raise _refused(Kind.REFUSED, f"server {server_id} boots from a volume that does not tell its image: name one")


def _act(cloud: Connection, server_id: str, body: dict[str, Any], microversion: str | None = None) -> str:
    answer = cloud.compute.post(f"/servers/{server_id}/action", json=body, microversion=microversion)
    if kind := _KINDS.get(HTTPStatus(answer.status_code)):
        raise _refused(kind, _words(answer))
    raise_from_response(answer)
    return str(answer.headers.get("x-openstack-request-id") or "")


def _words(answer: Response) -> str:
    """Nova's own words: `{"conflictingRequest": {"code": 409, "message": "..."}}`."""
    try:
        (found,) = answer.json().values()
        return str(found["message"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return answer.text or f"HTTP {answer.status_code}"


def _refused(kind: Kind, words: str) -> CloudError:
    return CloudError(Problem(kind, f"Nova: {clean(words)}"))
