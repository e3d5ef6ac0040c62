"""What within the Cluster would hold an update up, or break by it. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from kaas.updates.preflight.facts import (
    Client,
    DeprecatedApi,
    DisruptionBudget,
    Found,
    Hook,
    PreflightFacts,
    Unknown,
    listed,
    unknown,
)

SLOW_SECONDS: Final = 15
"""A webhook that may take so long holds up what has little time itself, as the renewal of leases (Gardener's limit)."""


def unreachable_cluster(facts: PreflightFacts) -> Iterator[Found]:
    """The Cluster's API server answers."""
    if facts.cluster_away:
        name = "/".join(facts.case.key)
        yield Found(f"the API server of Cluster {name} could not be asked: {facts.cluster_away}")


def disruption_budgets(facts: PreflightFacts) -> Iterator[Found]:
    """No PodDisruptionBudget keeps a Pod for ever on a node that is to go."""
    if isinstance(facts.budgets, Unknown):
        if not facts.cluster_away:
            yield unknown("PodDisruptionBudgets", facts.budgets)
        return
    going = facts.nodes_to_go()
    for budget in facts.budgets:
        yield from _never_met(budget, going)


def _never_met(budget: DisruptionBudget, going: frozenset[str]) -> Iterator[Found]:
    name = f"PodDisruptionBudget {budget.namespace}/{budget.name}"
    why = f"allows no Pod to go ({budget.rule}, {budget.expected} Pods, all well)"
    way = "set maxUnavailable to 1 or more, minAvailable below the number of Pods, or run one Pod more"
    if isinstance(budget.nodes, Unknown):
        yield Found(f"{name} {why}; on which nodes these are is not known ({budget.nodes.why}): {way}")
    elif here := sorted(budget.nodes & going):
        yield Found(f"{name} {why}, and Node {listed(here)} is to go: {way}")


def removed_apis(facts: PreflightFacts) -> Iterator[Found]:
    """Nobody has asked for an API that the new version does not have any more."""
    if isinstance(facts.deprecated, Unknown):
        if not facts.cluster_away:
            yield unknown("the APIs that were asked for", facts.deprecated)
        return
    for api in facts.deprecated:
        if api.removed <= facts.case.aims.version.minor:
            yield Found(_removed(api))


def _removed(api: DeprecatedApi) -> str:
    words = (
        f"{api} is in use and is not there any more from Kubernetes 1.{api.removed} on: {_clients(api)}; "
        "move them to a newer version of the API"
    )
    return f"{words} (what was asked for is forgotten when an API server starts anew)"


def _clients(api: DeprecatedApi) -> str:
    if isinstance(api.clients, Unknown):
        return f"by whom could not be looked up ({api.clients.why})"
    if not api.clients:
        return "nothing was written with it lately, so its clients only read; the audit log names them"
    return f"by {listed([_client(c) for c in api.clients])}"


def _client(client: Client) -> str:
    last = f", last {client.last:%Y-%m-%d %H:%M} UTC" if client.last else ""
    return f"{client.name} ({client.example}{last})"


def webhooks(facts: PreflightFacts) -> Iterator[Found]:
    """No webhook that must answer is asked about what an update needs while it cannot answer."""
    if isinstance(facts.hooks, Unknown):
        if not facts.cluster_away:
            yield unknown("admission webhooks", facts.hooks)
        return
    for hook in facts.hooks:
        yield from _of_hook(hook)


def _of_hook(hook: Hook) -> Iterator[Found]:
    name = f"webhook {hook.name} of {hook.configuration} (failurePolicy Fail) is asked about {', '.join(hook.needs)}"
    if isinstance(hook.endpoints, Unknown):
        yield Found(f"{name}, and whether its {hook.server} answers is not known: {hook.endpoints.why}", warns=True)
    elif hook.endpoints == 0:
        yield Found(
            f"{name}, and its {hook.server} has no ready endpoint: new nodes and Pods would be refused; bring it back, "
            "or delete the configuration",
            warns=hook.conditional,
        )
    else:
        yield from _risky(hook, name)


def _risky(hook: Hook, name: str) -> Iterator[Found]:
    """It answers now; it may not when its own Pods have to move."""
    if hook.conditional or not hook.system:
        return
    why = "answers outside the Cluster" if hook.endpoints is None else f"has {hook.endpoints} ready endpoints"
    slow = f", with a time-out of {hook.seconds} s" if hook.seconds > SLOW_SECONDS else ""
    if slow or hook.endpoints in (None, 1):
        yield Found(
            f"{name}{slow}; its {hook.server} {why}, and without it nodes and Pods are refused: leave kube-system out "
            "with a namespaceSelector, set failurePolicy to Ignore, or run two replicas",
            warns=True,
        )
