"""`kaas render`: what a Cluster becomes, without a management cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kaas.api.cluster import Cluster
from kaas.api.site import Site
from kaas.cli import manifests, output
from kaas.cli.manifests import Manifests, Object, wrong
from kaas.cli.settings import Output, Settings
from kaas.clusters import gates
from kaas.clusters import render as rendering
from kaas.clusters.classes import class_revision
from kaas.clusters.snapshot import Live, Snapshot
from kaas.clusters.target import ReleaseMissingError, target

CLUSTER_API_CLUSTER = ("cluster.x-k8s.io/v1beta2", "Cluster")


def render(settings: Settings, files: Sequence[Path], *, only_cluster: bool) -> None:
    """Print what every Cluster of the files becomes."""
    found = manifests.checked(manifests.read(files))
    if not found.clusters:
        raise wrong(["there is no Cluster in the files: add one with `-f`"])
    objects = list(rendered(found, settings.namespace or "default"))
    if only_cluster:
        objects = [o for o in objects if (o["apiVersion"], o["kind"]) == CLUSTER_API_CLUSTER]
    if settings.output is Output.JSON:
        output.emit(output.as_list(objects), Output.JSON)
    else:
        sys.stdout.write(output.documents(objects))


def rendered(found: Manifests, namespace: str) -> Iterator[Object]:
    """Objects of all Clusters in the order in which they are applied, what several share once.

    namespace: of the Clusters that do not say it themselves. CliError for a Site or Release that is not there.
    """
    given: set[tuple[str, str, str]] = set()
    faults: list[str] = []
    for cluster in found.clusters:
        try:
            objects = _of_cluster(_in_namespace(cluster, namespace), found)
        except LookupError as error:
            faults.append(f"Cluster {cluster.metadata.name!r}: {error.args[0]}")
            continue
        for obj in objects:
            key = (obj["kind"], obj["metadata"].get("namespace", ""), obj["metadata"]["name"])
            if key not in given:
                given.add(key)
                yield obj
    if faults:
        raise wrong(faults)


def _in_namespace(cluster: Cluster, namespace: str) -> Cluster:
    if cluster.metadata.namespace:
        return cluster
    return cluster.model_copy(update={"metadata": cluster.metadata.model_copy(update={"namespace": namespace})})


def _of_cluster(cluster: Cluster, found: Manifests) -> list[Object]:
    site = _site(cluster, found.sites)
    if lacking := list(gates.offered(cluster, site, Live())):
        raise LookupError("; ".join(g.message for g in lacking))
    revision = class_revision(site.spec.provider)
    try:
        aim = target(Snapshot(cluster, site, found.releases, revision, now=datetime.now(UTC)), site, revision)
    except ReleaseMissingError as error:
        raise LookupError(f"{error}; without a cluster, give the Release's file with `-f`") from error
    return rendering.everything(cluster, site, aim, revision)


def _site(cluster: Cluster, sites: Sequence[Site]) -> Site:
    for site in sites:
        if site.metadata.name == cluster.spec.site:
            return site
    known = ", ".join(s.metadata.name for s in sites) or "none"
    raise LookupError(
        f"spec.site: Site {cluster.spec.site!r} is not among the files (they have: {known}); give its file with `-f`"
    )
