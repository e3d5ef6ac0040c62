"""Tell CAPO that a server is well again: once it has seen ERROR it never looks at the server any more.

CAPO 0.14: `IsServerTerminalError` in controllers/openstackserver_controller.go ends every reconcile. A server that
a reboot healed would stay broken for Cluster API for ever. Its OpenStackMachine is looked at again only when the server
becomes ready (`OpenStackServerReconcileComplete`), which CAPO never takes back; else at the resync, ten minutes later.
"""

from __future__ import annotations

import logging
from typing import Protocol

from kaas.kube.errors import NotFound
from kaas.kube.objects import Object, Ref, ref_of
from kaas.repairs.facts import ServerView

log = logging.getLogger(__name__)


class Writer(Protocol):
    """What is written to the management cluster."""

    async def patch(self, ref: Ref, patch: Object, *, subresource: str = "") -> Object:
        """Merge patch."""


async def revive(writer: Writer, obj: Object, server: ServerView) -> None:
    """Set the state of an OpenStackServer to what Nova says, and not ready; CAPO goes on by itself from there."""
    status = {"instanceState": server.status, "ready": False}
    try:
        await writer.patch(ref_of(obj), {"status": status}, subresource="status")
    except NotFound:
        log.debug("%s is gone meanwhile", ref_of(obj))
        return
    log.info("server %s is %s again: CAPO was told", server.id, server.status)
