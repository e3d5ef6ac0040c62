"""What a Cluster's own API server is asked before an update: some eight requests, each for little.

A question that is not answered is `Unknown`; only when the first is not, the Cluster counts as away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from kaas.kube import exposition
from kaas.kube.answers import with_query
from kaas.kube.client import KubeClient
from kaas.kube.errors import KubeError, NotFound
from kaas.kube.objects import Object, Ref
from kaas.kube.resources import NODE, POD, Resource
from kaas.updates.preflight import authorities, budgets, deprecated, hooks
from kaas.updates.preflight.facts import (
    NOT_ASKED,
    Authority,
    Client,
    DeprecatedApi,
    DisruptionBudget,
    Hook,
    Kubelet,
    Unknown,
)

T = TypeVar("T")

PAGE: Final = 500
MOST_PAGES: Final = 40
LOOKED_AT: Final = 5
"""PodDisruptionBudgets whose Pods are looked for; one that lets no Pod go is rare."""
LOOKED_UP: Final = 3
"""Removed APIs whose clients are looked for."""
OBJECTS: Final = 200
"""Objects of a removed API that are looked at for who has written them."""
NAMES_ONLY: Final = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

BUDGET: Final = Resource("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
ENDPOINT_SLICE: Final = Resource("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices")
_ADMISSION: Final = "admissionregistration.k8s.io"
CONFIGURATIONS: Final = (
    Resource(_ADMISSION, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations", namespaced=False),
    Resource(_ADMISSION, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations", namespaced=False),
)
# An API server writes here whom it trusts: its clients' CA, and that of those who pass requests on.
AUTHORITIES: Final = Ref("v1", "ConfigMap", "kube-system", "extension-apiserver-authentication")
_FILES: Final = ("client-ca-file", "requestheader-client-ca-file")


@dataclass(frozen=True, slots=True)
class Answers:
    """What the API server said. away: why it could not be asked at all, "" when it could."""

    away: str = ""
    kubelets: tuple[Kubelet, ...] | Unknown = NOT_ASKED
    budgets: tuple[DisruptionBudget, ...] | Unknown = NOT_ASKED
    deprecated: tuple[DeprecatedApi, ...] | Unknown = NOT_ASKED
    hooks: tuple[Hook, ...] | Unknown = NOT_ASKED
    authorities: tuple[Authority, ...] | Unknown = NOT_ASKED


async def ask(connected: Callable[[], Awaitable[KubeClient]], minor: int) -> Answers:
    """All questions, the first alone. Never raises for a Cluster that is away. minor: of the version to come."""
    kubelets: tuple[Kubelet, ...] | Unknown
    try:
        client = await connected()
    except (KubeError, KeyError, ValueError) as away:
        return Answers(away=away.message if isinstance(away, KubeError) else f"its kubeconfig cannot be read ({away})")
    try:
        kubelets = await _kubelets(client)
    except KubeError as away:
        return Answers(away=away.message)
    except (KeyError, ValueError) as strange:
        kubelets = _strange(strange)
    asked = (_budgets(client), _deprecated(client, minor), _hooks(client), _authorities(client))
    found_budgets, found_apis, found_hooks, found_authorities = await asyncio.gather(*map(_or_unknown, asked))
    return Answers("", kubelets, found_budgets, found_apis, found_hooks, found_authorities)


async def _or_unknown(asked: Awaitable[Any]) -> Any:
    try:
        return await asked
    except (KubeError, KeyError, ValueError) as failure:
        return Unknown(failure.message) if isinstance(failure, KubeError) else _strange(failure)


def _strange(failure: Exception) -> Unknown:
    return Unknown(f"the API server's answer is not as expected ({failure})")


async def _kubelets(client: KubeClient) -> tuple[Kubelet, ...]:
    found: list[Kubelet] = []
    async for page in _tables(client, NODE.path(), "None"):
        found += budgets.kubelets(page)
    return tuple(found)


async def _tables(client: KubeClient, path: str, objects: str, **query: str) -> AsyncIterator[Object]:
    """The pages of a list, as tables. objects: what of each object comes along: `None` or `Metadata`."""
    token = ""
    for _ in range(MOST_PAGES):
        asked = {"limit": str(PAGE), "includeObject": objects, **query} | ({"continue": token} if token else {})
        page = await client.read(with_query(path, asked), accept=budgets.TABLE)
        yield page
        token = str((page.get("metadata") or {}).get("continue") or "")
        if not token:
            return


async def _pages(client: KubeClient, resource: Resource) -> list[Object]:
    """All objects of a kind; none when the server does not know it."""
    found: list[Object] = []
    token = ""
    for _ in range(MOST_PAGES):
        try:
            page = await client.page(resource, limit=PAGE, token=token)
        except NotFound:
            return found
        found += page.items
        token = page.token
        if not token:
            break
    return found


async def _budgets(client: KubeClient) -> tuple[DisruptionBudget, ...]:
    strict = [b for b in await _pages(client, BUDGET) if budgets.is_never_met(b)]
    looked_at = [budgets.disruption_budget(b, await _nodes(client, b)) for b in strict[:LOOKED_AT]]
    many = Unknown("there are too many of them to look for the Pods of each")
    return (*looked_at, *(budgets.disruption_budget(b, many) for b in strict[LOOKED_AT:]))


async def _nodes(client: KubeClient, budget: Object) -> frozenset[str] | Unknown:
    selector = budgets.selector_of(budget)
    if selector is None:
        return frozenset()
    path, query = POD.path(budget["metadata"]["namespace"]), {"labelSelector": selector} if selector else {}
    try:
        pages = [budgets.nodes_of_pods(page) async for page in _tables(client, path, "Metadata", **query)]
    except (KubeError, KeyError) as failure:
        return Unknown(str(failure))
    return frozenset().union(*pages)


async def _deprecated(client: KubeClient, minor: int) -> tuple[DeprecatedApi, ...]:
    known = deprecated.deprecated_apis(await exposition.lines(client, [deprecated.METRIC]))
    gone = [api for api in known if api.removed <= minor]
    named = [replace(api, clients=await clients_of(client, api)) for api in gone[:LOOKED_UP]]
    return (*named, *(replace(api, clients=Unknown("too many to look up each")) for api in gone[LOOKED_UP:]))


async def clients_of(client: KubeClient, api: DeprecatedApi) -> tuple[Client, ...] | Unknown:
    """Who has written with it. It is asked in another version, or the question itself would count as a use of it."""
    try:
        for version in await client.group_versions(api.group):
            served = await client.served(f"{api.group}/{version}") if version != api.version else []
            if resource := next((r for r in served if r.plural == api.resource), None):
                path = with_query(resource.path(), {"limit": str(OBJECTS)})
                answer = await client.read(path, accept=NAMES_ONLY)
                return deprecated.writers(answer.get("items") or (), f"{api.group}/{api.version}")
    except KubeError as failure:
        return Unknown(failure.message)
    return Unknown("no other version of it is served")


async def _hooks(client: KubeClient) -> tuple[Hook, ...]:
    configurations = [c for kind in CONFIGURATIONS for c in await _pages(client, kind)]
    asked = (h for c in configurations for h in hooks.must_answer(c) if hooks.needed(h))
    services = {service for hook in asked if (service := hooks.service_of(hook))}
    return tuple(hooks.hooks(configurations, await _ready(client, services) if services else {}))


async def _ready(client: KubeClient, services: set[hooks.Service]) -> dict[hooks.Service, int] | Unknown:
    names = ",".join(sorted({name for _, name in services}))
    try:
        slices = await client.list(ENDPOINT_SLICE, label_selector=f"{hooks.SERVICE_LABEL} in ({names})")
    except KubeError as failure:
        return Unknown(failure.message)
    return hooks.ready_endpoints(slices)


async def _authorities(client: KubeClient) -> tuple[Authority, ...]:
    found = await client.get(AUTHORITIES)
    if found is None:
        raise NotFound("read the authorities", f"there is no {AUTHORITIES}")
    data = found.get("data") or {}
    return tuple(authorities.authority(f"{AUTHORITIES} {file}", data[file]) for file in _FILES if file in data)
