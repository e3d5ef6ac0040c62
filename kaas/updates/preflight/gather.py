"""Before an update: facts from the index, the Cluster itself and its cloud, and what the checks say of them."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from datetime import datetime

from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError
from kaas.kube.objects import Ref
from kaas.kube.ports import Source
from kaas.openstack.clouds import CloudDirectory
from kaas.updates.preflight.ask import Answers, ask
from kaas.updates.preflight.authorities import authority
from kaas.updates.preflight.clouds import Reader, SurgeClouds
from kaas.updates.preflight.facts import Authority, PreflightFacts, Unknown
from kaas.updates.preflight.observed import etcd_of, image_of, machines_of
from kaas.updates.preflight.review import review
from kaas.updates.preflight.surge import needs
from kaas.updates.run import Case, ClusterKey, Report

ConnectWorkload = Callable[[ClusterKey], Awaitable[KubeClient]]
"""Client for a Cluster's own API server, not to be closed; KubeError when there is no way to it."""


class Preflight:
    """Looks at Clusters before they are updated.

    connect: as `Workloads.client`. store: where Machines, control planes and Releases are observed. reader: reads
    Secrets of the management cluster. clouds: of all Sites.
    """

    def __init__(self, connect: ConnectWorkload, store: Source, reader: Reader, clouds: CloudDirectory) -> None:
        self._connect = connect
        self._store = store
        self._reader = reader
        self._clouds = SurgeClouds(reader, clouds)

    async def report(self, case: Case, now: datetime) -> Report:
        """All checks at once. Never raises for a Cluster or cloud that is away: that is a finding."""
        return review(await self.facts(case, now))

    async def facts(self, case: Case, now: datetime) -> PreflightFacts:
        """What the checks look at."""
        answers, (cloud, cloud_away), etcd = await asyncio.gather(
            ask(lambda: self._connect(case.key), case.aims.version.minor),
            self._clouds.look(case.site, needs(case)),
            self._etcd_authority(case.key),
        )
        return PreflightFacts(
            case=case,
            now=now,
            machines=machines_of(self._store, case.key),
            etcd=etcd_of(self._store, case.key),
            image=image_of(self._store, case),
            cloud=cloud,
            cloud_away=cloud_away,
            cluster_away=answers.away,
            kubelets=answers.kubelets,
            budgets=answers.budgets,
            deprecated=answers.deprecated,
            hooks=answers.hooks,
            authorities=_together(answers, etcd),
        )

    async def _etcd_authority(self, key: ClusterKey) -> Authority | Unknown:
        """That of etcd, which no API server tells: Cluster API keeps it in a Secret."""
        namespace, cluster = key
        ref = Ref("v1", "Secret", namespace, f"{cluster}-etcd")
        try:
            found = await self._reader.get(ref)
            if found is None:
                return Unknown(f"there is no {ref}")
            return authority(str(ref), base64.b64decode(found["data"]["tls.crt"]))
        except (KubeError, KeyError, ValueError, binascii.Error) as failure:
            return Unknown(f"{ref}: {failure.message if isinstance(failure, KubeError) else 'it holds no certificate'}")


def _together(answers: Answers, etcd: Authority | Unknown) -> tuple[Authority | Unknown, ...]:
    found = answers.authorities
    if isinstance(found, Unknown):
        return (etcd,) if answers.away else (found, etcd)
    return (*found, etcd)
