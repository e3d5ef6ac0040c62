"""Admission webhooks that must answer, and whether they are asked about what an update needs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from kaas.api.selectors import holds
from kaas.kube.objects import Object
from kaas.updates.preflight.facts import Hook, Unknown

SERVICE_LABEL: Final = "kubernetes.io/service-name"
"""On an EndpointSlice: the Service that it is of."""
_NAMESPACE_NAME: Final = "kubernetes.io/metadata.name"
_OPT_IN: Final = ("In", "Exists")
_PODS: Final = "pods"


@dataclass(frozen=True, slots=True)
class Needed:
    """What an update needs the API server to take. namespace: "" for none, None for some of the users'."""

    name: str
    group: str
    resource: str
    namespace: str | None
    operations: frozenset[str]


_WRITES: Final = frozenset({"CREATE", "UPDATE"})
NEEDED: Final = (
    Needed("nodes", "", "nodes", "", _WRITES),
    Needed("leases of kube-node-lease", "coordination.k8s.io", "leases", "kube-node-lease", _WRITES),
    Needed("leases of kube-system", "coordination.k8s.io", "leases", "kube-system", _WRITES),
    Needed("pods of kube-system", "", _PODS, "kube-system", frozenset({"CREATE", "UPDATE", "DELETE"})),
    Needed(_PODS, "", _PODS, None, frozenset({"CREATE"})),
    Needed("evictions", "", "pods/eviction", None, frozenset({"CREATE"})),
)
"""Nodes register and renew their leases, leaders are elected anew, and Pods that were drained come again elsewhere."""
_SYSTEM: Final = frozenset(n.name for n in NEEDED if n.namespace is not None)

Service = tuple[str, str]
"""Namespace and name."""


def must_answer(configuration: Object) -> list[Object]:
    """The webhooks of a configuration without which a request is refused."""
    return [hook for hook in configuration.get("webhooks") or () if hook.get("failurePolicy", "Fail") == "Fail"]


def service_of(hook: Object) -> Service | None:
    """The Service that answers; None for one that is somewhere else."""
    service = (hook.get("clientConfig") or {}).get("service")
    return (service["namespace"], service["name"]) if service else None


def hooks(configurations: Iterable[Object], ready: Mapping[Service, int] | Unknown) -> Iterator[Hook]:
    """Those that must answer and are asked about what is needed. ready: endpoints of their Services."""
    for configuration in configurations:
        for hook in must_answer(configuration):
            if needs := needed(hook):
                yield _hook(configuration, hook, needs, ready)


def _hook(
    configuration: Object, hook: Object, needs: tuple[Needed, ...], ready: Mapping[Service, int] | Unknown
) -> Hook:
    service = service_of(hook)
    endpoints = None if service is None else ready if isinstance(ready, Unknown) else ready.get(service, 0)
    selective = hook.get("matchConditions") or _opts_in(hook.get("objectSelector"))
    return Hook(
        configuration=f"{configuration['kind']} {configuration['metadata']['name']}",
        name=hook["name"],
        needs=tuple(n.name for n in needs),
        server=f"Service {'/'.join(service)}" if service else f"URL {hook['clientConfig'].get('url')}",
        endpoints=endpoints,
        conditional=bool(selective or (_only_users(needs) and _opts_in(hook.get("namespaceSelector")))),
        system=not _only_users(needs),
        seconds=hook.get("timeoutSeconds", 10),
    )


def _only_users(needs: Iterable[Needed]) -> bool:
    return not any(n.name in _SYSTEM for n in needs)


def needed(hook: Object) -> tuple[Needed, ...]:
    """What of that which an update needs a webhook is asked about."""
    return tuple(n for n in NEEDED if _selects(hook, n) and any(_covers(rule, n) for rule in hook.get("rules") or ()))


def _covers(rule: Mapping[str, Any], need: Needed) -> bool:
    scope = rule.get("scope", "*")
    return (
        (scope == "*" or (scope == "Cluster") == (need.namespace == ""))
        and _among(rule.get("apiGroups") or (), need.group)
        and bool({"*", *need.operations} & set(rule.get("operations") or ()))
        and any(_is(pattern, need.resource) for pattern in rule.get("resources") or ())
    )


def _among(patterns: Collection[str], value: str) -> bool:
    return "*" in patterns or value in patterns


def _is(pattern: str, resource: str) -> bool:
    """Whether a pattern (`pods`, `*`, `pods/*`, `*/eviction`, `*/*`) names a resource or subresource."""
    if pattern == "*/*":
        return True
    name, _, sub = resource.partition("/")
    wanted, _, wanted_sub = pattern.partition("/")
    return wanted in ("*", name) and (wanted_sub == sub or (wanted_sub == "*" and bool(sub)))


def _selects(hook: Object, need: Needed) -> bool:
    """By its selectors: labels that objects of the system have not are taken for missing."""
    if need.namespace and not _takes(hook.get("namespaceSelector"), {_NAMESPACE_NAME: need.namespace}):
        return False
    return need.namespace is None or _takes(hook.get("objectSelector"), {})


def _takes(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    found = selector or {}
    plain = all(labels.get(key) == value for key, value in (found.get("matchLabels") or {}).items())
    return plain and all(holds(e, labels) for e in found.get("matchExpressions") or ())


def _opts_in(selector: Mapping[str, Any] | None) -> bool:
    """Whether it takes only what has a label."""
    found = selector or {}
    return bool(found.get("matchLabels")) or any(e["operator"] in _OPT_IN for e in found.get("matchExpressions") or ())


def ready_endpoints(slices: Iterable[Object]) -> dict[Service, int]:
    """Endpoints that are ready, by Service; one that does not say counts as ready, as the API has it."""
    found: dict[Service, set[str]] = {}
    for each in slices:
        meta = each["metadata"]
        service = meta.get("namespace") or "", (meta.get("labels") or {}).get(SERVICE_LABEL, "")
        ready = found.setdefault(service, set())
        for endpoint in each.get("endpoints") or ():
            if (endpoint.get("conditions") or {}).get("ready") is not False:
                ready.update(endpoint["addresses"])
    return {service: len(addresses) for service, addresses in found.items()}
