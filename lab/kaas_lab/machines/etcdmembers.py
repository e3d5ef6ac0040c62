"""Membership of an etcd cluster, through the JSON gateway that every member serves beside gRPC."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

REQUEST_SECONDS = 10.0
PROMOTE_SECONDS = 120.0  # kubeadm waits for as long as etcdHealthyCheckRetries x interval: 2 minutes


class EtcdError(Exception):
    """An etcd member refused or could not be reached."""


@dataclass(frozen=True)
class Member:
    """One member as etcd lists it; `name` is empty until it has started."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool = False


@dataclass(frozen=True)
class Etcd:
    """Client end points of a cluster and the files of a client certificate that its CA signed."""

    endpoints: tuple[str, ...]
    ca: Path
    certificate: Path
    key: Path

    async def members(self) -> list[Member]:
        """Everybody in the cluster. Raises EtcdError."""
        answer = await self._call("/v3/cluster/member/list", {})
        return [_member(m) for m in answer.get("members", [])]

    async def add_learner(self, peer_url: str) -> list[Member]:
        """Add a member that may not vote yet; returns everybody, the new one included. Raises EtcdError."""
        answer = await self._call("/v3/cluster/member/add", {"peerURLs": [peer_url], "isLearner": True})
        return [_member(m) for m in answer.get("members", [])]

    async def remove(self, member: str) -> None:
        """Remove a member by its id. Raises EtcdError."""
        await self._call("/v3/cluster/member/remove", {"ID": member})

    async def promote(self, member: str) -> None:
        """Make a learner a voter once it is in sync, retrying as kubeadm does. Raises EtcdError after 2 minutes."""
        loop = asyncio.get_running_loop()
        end = loop.time() + PROMOTE_SECONDS
        while True:
            try:
                await self._call("/v3/cluster/member/promote", {"ID": member})
                return
            except EtcdError:
                if loop.time() > end:
                    raise
                await asyncio.sleep(0.5)

    async def _call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        context = ssl.create_default_context(cafile=str(self.ca))
        context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        context.load_cert_chain(self.certificate, self.key)
        timeout = aiohttp.ClientTimeout(total=REQUEST_SECONDS)
        failure = EtcdError("no end point of etcd is known")
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=context)) as session:
            for endpoint in self.endpoints:
                try:
                    return await _post(session, endpoint + path, body)
                except EtcdError as error:
                    failure = error
        raise failure


async def _post(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> dict[str, Any]:
    try:
        async with session.post(url, json=body) as response:
            answer: dict[str, Any] = await response.json(content_type=None)
            if response.ok:
                return answer
            raise EtcdError(f"{url}: {answer.get('message') or answer}")
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise EtcdError(f"{url}: {error or 'timed out'}") from error


def _member(found: dict[str, Any]) -> Member:
    return Member(
        id=str(found["ID"]),
        name=str(found.get("name", "")),
        peer_urls=tuple(found.get("peerURLs", ())),
        client_urls=tuple(found.get("clientURLs", ())),
        learner=bool(found.get("isLearner")),
    )


def initial_cluster(members: Iterable[Member], name: str, peer_url: str) -> str:
    """Etcd's `--initial-cluster` for a member that joins: everybody by name, itself by its own."""
    pairs = [(name if peer_url in m.peer_urls else m.name, url) for m in members for url in m.peer_urls]
    return ",".join(f"{member}={url}" for member, url in pairs if member)
