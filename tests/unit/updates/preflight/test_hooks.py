"""Which webhooks an update depends on, and whether they can answer."""

from __future__ import annotations

from typing import Any

import pytest

from kaas.kube.objects import Object
from kaas.updates.preflight.facts import Unknown
from kaas.updates.preflight.hooks import SERVICE_LABEL, hooks, needed, ready_endpoints

SERVICE = ("guard", "hook")
NAME = "kubernetes.io/metadata.name"
SYSTEM = ["leases of kube-node-lease", "leases of kube-system"]
NOT_SYSTEM = {"matchExpressions": [{"key": NAME, "operator": "NotIn", "values": ["kube-system"]}]}
OPT_OUT = {"matchExpressions": [{"key": "example.com/ignore", "operator": "DoesNotExist"}]}
OPT_IN = {"matchLabels": {"example.com/inject": "true"}}
EXISTS = {"matchExpressions": [{"key": "example.com/inject", "operator": "Exists"}]}
ONLY_SYSTEM = {"matchExpressions": [{"key": NAME, "operator": "In", "values": ["kube-system"]}]}


def rule(resources: list[str], groups: list[str] | None = None, **more: Any) -> Object:
    said = {"apiGroups": [""] if groups is None else groups, "apiVersions": ["*"], "operations": ["*"]}
    return {**said, "resources": resources, **more}


def hook(*rules: Object, **more: Any) -> Object:
    client = {"service": {"namespace": "guard", "name": "hook"}}
    return {"name": "h.example.com", "clientConfig": client, "rules": list(rules), **more}


def asked(of: Object) -> list[str]:
    return [n.name for n in needed(of)]


@pytest.mark.parametrize(
    ("found", "names"),
    [
        (hook(rule(["nodes"])), ["nodes"]),
        (hook(rule(["nodes"], operations=["UPDATE"])), ["nodes"]),
        (hook(rule(["nodes"], operations=["DELETE"])), []),
        (hook(rule(["nodes"], ["apps"])), []),
        (hook(rule(["nodes/status"])), []),
        (hook(rule(["nodes"], scope="Namespaced")), []),
        (hook(rule(["pods"], scope="Cluster")), []),
        (hook(rule(["pods"])), ["pods of kube-system", "pods"]),
        (hook(rule(["pods"]), namespaceSelector=NOT_SYSTEM), ["pods"]),
        (hook(rule(["pods"]), namespaceSelector=OPT_IN), ["pods"]),
        (hook(rule(["pods"]), namespaceSelector=EXISTS), ["pods"]),
        (hook(rule(["pods"]), namespaceSelector=OPT_OUT), ["pods of kube-system", "pods"]),
        (hook(rule(["pods"]), namespaceSelector=ONLY_SYSTEM), ["pods of kube-system", "pods"]),
        (hook(rule(["pods"]), objectSelector=OPT_IN), ["pods"]),
        (hook(rule(["pods"]), objectSelector=OPT_OUT), ["pods of kube-system", "pods"]),
        (hook(rule(["nodes"]), objectSelector=OPT_IN), []),
        (hook(rule(["pods/eviction"])), ["evictions"]),
        (hook(rule(["pods/*"])), ["evictions"]),
        (hook(rule(["*/eviction"])), ["evictions"]),
        (hook(rule(["leases"], ["coordination.k8s.io"])), SYSTEM),
        (hook(rule(["*"], ["*"])), ["nodes", *SYSTEM, "pods of kube-system", "pods"]),
        (hook(rule(["*/*"], ["*"])), ["nodes", *SYSTEM, "pods of kube-system", "pods", "evictions"]),
        (hook(rule(["widgets"], ["example.com"])), []),
        (hook(rule(["widgets"], ["example.com"]), rule(["nodes"])), ["nodes"]),
        (hook(), []),
    ],
)
def test_what_a_webhook_is_asked_about(found: Object, names: list[str]) -> None:
    assert asked(found) == names


def configuration(*found: Object) -> Object:
    return {"kind": "MutatingWebhookConfiguration", "metadata": {"name": "guard"}, "webhooks": list(found)}


def test_only_what_must_answer_and_is_needed_counts() -> None:
    ignored, other = hook(rule(["nodes"]), failurePolicy="Ignore"), hook(rule(["widgets"], ["example.com"]))
    (found,) = hooks([configuration(ignored, other, hook(rule(["nodes"]), timeoutSeconds=20))], {SERVICE: 2})
    assert found.configuration == "MutatingWebhookConfiguration guard"
    assert (found.needs, found.server, found.endpoints, found.seconds) == (("nodes",), "Service guard/hook", 2, 20)
    assert found.system
    assert not found.conditional


def test_who_answers() -> None:
    outside = hook(rule(["nodes"]), clientConfig={"url": "https://hook.example.com"})
    for one, ready, expected in ((hook(rule(["nodes"])), {}, 0), (outside, {}, None)):
        (found,) = hooks([configuration(one)], ready)
        assert found.endpoints == expected
    (found,) = hooks([configuration(hook(rule(["nodes"])))], Unknown("it hangs"))
    assert found.endpoints == Unknown("it hangs")


@pytest.mark.parametrize(
    ("more", "conditional"),
    [
        ({}, False),
        ({"matchConditions": [{"name": "n", "expression": "true"}]}, True),
        ({"objectSelector": OPT_IN}, True),
        ({"objectSelector": OPT_OUT}, False),
        ({"namespaceSelector": OPT_IN}, True),
        ({"namespaceSelector": NOT_SYSTEM}, False),
    ],
)
def test_who_may_leave_pods_out_is_conditional(more: Object, conditional: bool) -> None:
    (found,) = hooks([configuration(hook(rule(["pods"]), **more))], {})
    assert found.conditional is conditional


def test_ready_endpoints_are_counted_once() -> None:
    def part(*endpoints: tuple[str, bool | None]) -> Object:
        each = [{"addresses": [ip], "conditions": {} if ready is None else {"ready": ready}} for ip, ready in endpoints]
        return {"metadata": {"namespace": "guard", "labels": {SERVICE_LABEL: "hook"}}, "endpoints": each}

    assert ready_endpoints([part(("10.0.0.1", True), ("10.0.0.2", False)), part(("10.0.0.1", None))]) == {SERVICE: 1}
    assert ready_endpoints([part()]) == {SERVICE: 0}
