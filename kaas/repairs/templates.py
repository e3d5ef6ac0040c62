"""The NodeRepairTemplates of a Cluster, which MachineHealthCheck makes NodeRepairs from. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kaas.api.cluster import Cluster
from kaas.api.constants import LABEL_CLUSTER, LABEL_POOL, LABEL_SITE
from kaas.api.node_repair_template import template_name
from kaas.api.repair import RepairPolicy
from kaas.kube.objects import Object, owner_reference
from kaas.kube.resources import CLUSTER, NODE_REPAIR_TEMPLATE


def templates(cluster: Cluster, policies: Mapping[str, RepairPolicy]) -> list[Object]:
    """One template a pool, "" being the control plane. They go with the Cluster, which owns them."""
    return [_template(cluster, pool, policy) for pool, policy in policies.items()]


def _template(cluster: Cluster, pool: str, policy: RepairPolicy) -> Object:
    meta = cluster.metadata
    labels = {LABEL_CLUSTER: meta.name, LABEL_SITE: cluster.spec.site, **({LABEL_POOL: pool} if pool else {})}
    found: Object = {"name": template_name(meta.name, pool), "namespace": meta.namespace, "labels": labels}
    if meta.uid:
        named = {"name": meta.name, "uid": meta.uid}
        owner = {"apiVersion": CLUSTER.api_version, "kind": CLUSTER.kind, "metadata": named}
        found["ownerReferences"] = [owner_reference(owner)]
    return {
        "apiVersion": NODE_REPAIR_TEMPLATE.api_version,
        "kind": NODE_REPAIR_TEMPLATE.kind,
        "metadata": found,
        "spec": {"template": {"spec": policy.to_json()}},
    }
