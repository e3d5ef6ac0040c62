"""How the nodes of each pool are repaired: what template, Cluster, pool and Site say, brought together. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from kaas.api.cluster import Cluster, NodePool
from kaas.api.constants import CONTROL_PLANE_POOL
from kaas.api.node_repair_template import NodeRepairTemplate
from kaas.api.repair import Mode, RepairPolicy, strictest
from kaas.api.site import Site
from kaas.repairs.ladders import PoolKind, kind_of, policy_for
from kaas.repairs.settings import POOL_LIMITS, filled


class Policies(dict[str, RepairPolicy]):
    """Policies by pool. A pool that left the spec has one too: its machines go, and nothing is done to them."""

    def __missing__(self, pool: str) -> RepairPolicy:
        return policy_for(PoolKind.VM).model_copy(update={"mode": Mode.OFF})


def policies(cluster: Cluster, site: Site, templates: Mapping[str, NodeRepairTemplate]) -> Policies:
    """Policies of the control plane ("") and of every pool. templates: of the Cluster's namespace, by name."""
    found = Policies({CONTROL_PLANE_POOL: policy_of(cluster, None, site)})
    for pool in cluster.spec.node_pools:
        found[pool.name] = policy_of(cluster, pool, site, templates.get(template_of(cluster, pool) or ""))
    return found


def switched_off(found: Policies) -> Policies:
    """The same in mode Off: nothing begins, and what has begun is ended by the rules of its ladder."""
    return Policies({pool: policy.model_copy(update={"mode": Mode.OFF}) for pool, policy in found.items()})


def policy_of(
    cluster: Cluster, pool: NodePool | None, site: Site, template: NodeRepairTemplate | None = None
) -> RepairPolicy:
    """The policy of a pool, None for the control plane. template: the one that it names, None when there is none such.

    A pool that names a template which is not there is looked at and not touched: the ladder that ships may do to its
    nodes just what that template is there to prevent.
    """
    base = template.spec.template.spec if template else policy_for(_kind(cluster, pool, site))
    said = [site.spec.repair.mode, cluster.spec.repair.mode, base.mode]
    if pool is not None:
        said.append(pool.repair.mode)
        said += [Mode.DRY_RUN] if template_of(cluster, pool) and template is None else []
    limits = filled(pool.repair.limits, base.limits) if pool else base.limits
    merged = {
        "mode": strictest(*said),
        "limits": filled(limits, POOL_LIMITS),
        "ticket": base.ticket or site.spec.repair.ticket,
    }
    return base.model_copy(update=merged)


def template_of(cluster: Cluster, pool: NodePool) -> str | None:
    """Name of the template that a pool is to be repaired by; None for the ladder that ships."""
    return pool.repair.template or cluster.spec.repair.template


def missing_templates(cluster: Cluster, templates: Mapping[str, NodeRepairTemplate]) -> list[str]:
    """What to say of pools that name a template which is not there; nothing is done to their nodes."""
    named = [(pool.name, template_of(cluster, pool)) for pool in cluster.spec.node_pools]
    return [
        f"pool {pool}: there is no NodeRepairTemplate {cluster.metadata.namespace}/{name}, so its nodes are not "
        "repaired: create it, or correct spec.nodePools[].repair.template or spec.repair.template"
        for pool, name in named
        if name and name not in templates
    ]


def _kind(cluster: Cluster, pool: NodePool | None, site: Site) -> PoolKind:
    """What the machines are. Those of a flavor that the Site does not offer any more are not thrown away either."""
    name = pool.flavor if pool else cluster.spec.control_plane.flavor
    flavor = next((f for f in site.spec.flavors if f.name == name), None)
    gpus = flavor.gpu.count if flavor and flavor.gpu else 0
    metal = flavor is None or flavor.bare_metal
    return kind_of(site.spec.provider, control_plane=pool is None, metal=metal, gpus=gpus)
