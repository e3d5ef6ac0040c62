"""PodDisruptionBudgets as an API server gives them, and Nodes and Pods as rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from kaas.kube.objects import Object
from kaas.updates.preflight.facts import DisruptionBudget, Kubelet, Unknown

TABLE: Final = "application/json;as=Table;g=meta.k8s.io;v=v1,application/json"
"""Of an object the few columns that kubectl shows: a Node has 10 KB and more, a row of it a few hundred bytes."""
_EXPRESSIONS: Final[Mapping[str, Callable[[str, str], str]]] = {
    "In": lambda key, values: f"{key} in ({values})",
    "NotIn": lambda key, values: f"{key} notin ({values})",
    "Exists": lambda key, _: key,
    "DoesNotExist": lambda key, _: f"!{key}",
}


def kubelets(answer: Object) -> Iterator[Kubelet]:
    """Nodes and the versions of their kubelets, of a table or of a list."""
    if answer.get("kind") == "Table":
        for cells, _ in rows(answer, "Name", "Version"):
            yield Kubelet(*cells)
        return
    for node in answer["items"]:
        info = (node.get("status") or {}).get("nodeInfo") or {}
        yield Kubelet(node["metadata"]["name"], info.get("kubeletVersion", ""))


def nodes_of_pods(answer: Object) -> frozenset[str]:
    """Nodes of the Pods that a drain moves: those of DaemonSets and of the kubelet itself stay."""
    if answer.get("kind") == "Table":
        found = [(cells[0], row["object"]["metadata"]) for cells, row in rows(answer, "Node")]
    else:
        found = [((pod.get("spec") or {}).get("nodeName") or "", pod["metadata"]) for pod in answer["items"]]
    return frozenset(node for node, meta in found if node not in ("", "<none>") and _moves(meta))


def _moves(meta: Mapping[str, Any]) -> bool:
    owners = meta.get("ownerReferences") or ()
    return not any(o.get("controller") and o["kind"] in ("DaemonSet", "Node") for o in owners)


def rows(answer: Object, *columns: str) -> Iterator[tuple[tuple[str, ...], Object]]:
    """The cells of some columns of a table, each with its row; KeyError when the table has no such column."""
    names = {c["name"]: index for index, c in enumerate(answer["columnDefinitions"])}
    places = [names[column] for column in columns]
    for row in answer["rows"] or ():
        yield tuple(str(row["cells"][place]) for place in places), row


def is_never_met(budget: Object) -> bool:
    """Whether it lets no Pod go although all are well: what its controller found is of its present spec."""
    status = budget.get("status") or {}
    expected = status.get("expectedPods", 0)
    fresh = status.get("observedGeneration", 0) >= budget["metadata"].get("generation", 0)
    well = status.get("currentHealthy", 0) >= expected > 0
    return bool(
        fresh and well and status.get("disruptionsAllowed") == 0 and status.get("desiredHealthy", 0) >= expected
    )


def disruption_budget(budget: Object, nodes: frozenset[str] | Unknown) -> DisruptionBudget:
    """What is told of it."""
    meta, spec = budget["metadata"], budget["spec"]
    field = "maxUnavailable" if "maxUnavailable" in spec else "minAvailable"
    rule = f"{field} {spec.get(field)}"
    return DisruptionBudget(meta["namespace"], meta["name"], budget["status"]["expectedPods"], rule, nodes)


def selector_of(budget: Object) -> str | None:
    """Its selector as a query; None when it selects nothing, empty when all Pods of its namespace."""
    selector = budget["spec"].get("selector")
    if selector is None:
        return None
    plain = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    more = (
        _EXPRESSIONS[e["operator"]](e["key"], ",".join(e.get("values") or ()))
        for e in selector.get("matchExpressions") or ()
    )
    return ",".join([*plain, *more])
