"""Both do all of their work with the rights that the manifests give them, and leave none of these unused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from kaas.kube.objects import Ref
from kaas.volumes.install import manifests
from tests.contract.credentials.cluster import Cluster, aws_secret
from tests.contract.credentials.replica import until
from tests.contract.volumes.stage import SOURCE, Stage
from tests.contract.volumes_webhook.installation import NAMESPACE, Installed, Server
from tests.contract.volumes_webhook.objects import claim, made, pod

Right = tuple[str, str, str]
"""API group, resource and verb."""

SNAPSHOTS = "snapshot.storage.k8s.io"
NOT_SHOWN: dict[Right, str] = {
    ("", "pods", "get"): "asked for when a Pod's gates have changed at the moment at which ours is taken away",
    ("", "nodes", "list"): "asked for when a loader has waited for a node with GPUs for 20 minutes",
    ("batch", "jobs", "get"): "asked for when there is a Job of that name already",
    ("networking.k8s.io", "networkpolicies", "create"): "server-side apply asks for it beside `patch`",
    **dict.fromkeys(
        (
            *(("", "persistentvolumeclaims", verb) for verb in ("create", "patch", "delete")),
            *(("", "persistentvolumes", verb) for verb in ("get", "patch")),
            *(("populator.storage.k8s.io", "volumepopulators", verb) for verb in ("create", "patch")),
        ),
        "of DataSources and of snapshots, which need a driver that makes volumes",
    ),
}


@pytest.fixture(scope="module")
def lives() -> dict[str, float]:
    """A leaf is renewed after 6 seconds, so that its Secret is written a second time."""
    return {"leaf": 9, "ca": 3000, "settled": 3}


class Asked:
    """What the accounts have asked for since the beginning of a test, by component."""

    def __init__(self, audit: Path) -> None:
        self._audit, self._place = audit, audit.stat().st_size
        self._events: dict[str, list[dict[str, Any]]] = {"webhook": [], "controller": []}

    def by(self, component: str) -> list[dict[str, Any]]:
        """All of it so far."""
        with self._audit.open() as log:
            log.seek(self._place)
            while (line := log.readline()).endswith("\n"):
                self._place = log.tell()
                event = json.loads(line)
                self._events[event["user"]["username"].rpartition("kaas-volumes-")[2]].append(event)
        return self._events[component]

    def used(self, component: str) -> set[Right]:
        """Rights that were made use of."""
        return {found for event in self.by(component) if (found := right(event))}


@pytest.fixture
def asked(server: Server, webhook: Installed) -> Asked:
    """What is asked for from here on."""
    return Asked(server.audit)


def right(event: dict[str, Any]) -> Right | None:
    """The right that was made use of."""
    ref = event.get("objectRef") or {}
    if "resource" not in ref:
        return None
    inner = f"/{ref['subresource']}" if ref.get("subresource") else ""
    return ref.get("apiGroup", ""), ref["resource"] + inner, event["verb"]


def is_forbidden(event: dict[str, Any]) -> bool:
    """Whether there was no right to it."""
    return bool((event.get("annotations") or {}).get("authorization.k8s.io/decision") == "forbid")


def granted(component: str) -> set[Right]:
    """All rights of the manifests, but those to snapshots, which this cluster has no kinds of."""
    text = manifests.render(manifests.values({}))
    roles = [o for o in yaml.safe_load_all(text) if o["kind"] in {"ClusterRole", "Role"}]
    rules = [rule for role in roles if role["metadata"]["name"].endswith(component) for rule in role["rules"]]
    rights = {(g, r, v) for x in rules for g in x["apiGroups"] for r in x["resources"] for v in x["verbs"]}
    return {found for found in rights if found[0] != SNAPSHOTS}


async def test_rights_suffice_and_none_is_left_over(
    webhook: Installed, stage: Stage, cluster: Cluster, asked: Asked
) -> None:
    lease = Ref("coordination.k8s.io/v1", "Lease", NAMESPACE, "kaas-volumes")
    tls = f"/api/v1/namespaces/{NAMESPACE}/secrets/kaas-volumes-tls"
    assert (await cluster.call("DELETE", tls)).status == 200
    if await stage.client.get(lease):
        await stage.client.delete(lease)

    async def renewed() -> bool:
        return ("", "secrets", "update") in asked.used("webhook")

    async with webhook.controller():
        await made(cluster, aws_secret(stage.namespace, "bucket"))
        found = await stage.claim(load_source=SOURCE, load_credentials="bucket")
        await made(cluster, pod(stage.namespace, "data"))
        # Nothing is said of this one but by Events: it has no volume, and nobody who makes one.
        unbound = claim(stage.namespace, "unbound", source=SOURCE)
        del unbound["spec"]["volumeName"]
        unbound["spec"]["storageClassName"] = ""
        await made(cluster, unbound)
        await stage.runs(await stage.loader(found))
        await stage.until_told("Pending", "unbound", "its volume is not there yet")
        await stage.loads(found)
        await stage.until_told("Loaded")
        await until(renewed, "the certificate is renewed")

        async def looked_for_causes() -> bool:
            return ("", "events", "list") in asked.used("controller")

        await until(looked_for_causes)
    for component in ("webhook", "controller"):
        events = asked.by(component)
        assert not [right(event) for event in events if is_forbidden(event)], component
        assert not granted(component) - asked.used(component) - NOT_SHOWN.keys(), component


async def test_nobody_may_do_what_no_rule_says(webhook: Installed, cluster: Cluster) -> None:
    """By the API server's own word, of what would be worst."""
    worst = [("list", "secrets", ""), ("create", "pods", ""), ("create", "rolebindings", "rbac.authorization.k8s.io")]
    worst += [("impersonate", "users", ""), ("get", "nodes", "")]
    for component in ("webhook", "controller"):
        for verb, resource, group in worst:
            spec = {
                "user": f"system:serviceaccount:{NAMESPACE}:kaas-volumes-{component}",
                "groups": ["system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}", "system:authenticated"],
                "resourceAttributes": {"verb": verb, "resource": resource, "group": group, "namespace": "default"},
            }
            review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
            answer = await cluster.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
            assert answer.body["status"]["allowed"] is False, (component, verb, resource)
