"""What a loader's Pod is at a real API server: admitted where little is, without an account, and nobody else's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from kaas.kube.objects import Ref
from kaas.volumes import terms
from kaas.volumes.job import POLICY
from tests.contract.credentials.cluster import Cluster, aws_secret, manifest
from tests.contract.credentials.replica import Replica, until
from tests.contract.volumes.stage import SOURCE, Stage
from tests.contract.volumes_webhook.installation import Installed
from tests.contract.volumes_webhook.objects import made

RESTRICTED = "pod-security.kubernetes.io/enforce"
KEPT_OUT = "--keep-out=10.0.0.0/8"
ALLOWED = "--allow-endpoint=192.0.2.0/24"


@pytest.fixture(autouse=True)
async def controller(webhook: Installed) -> AsyncIterator[Replica]:
    """It runs for the test."""
    async with webhook.controller(KEPT_OUT, ALLOWED) as found:
        yield found


async def loader_of(stage: Stage, name: str = "data", **notes: Any) -> dict[str, Any]:
    """The Pod that loads a claim, as it was admitted."""
    return await stage.loader(await stage.claim(name, load_source=SOURCE, **notes))


async def test_a_restricted_namespace_admits_it_without_an_account(cluster: Cluster, stage: Stage) -> None:
    await cluster.apply(manifest("Namespace", stage.namespace, labels={RESTRICTED: "restricted"}))
    await made(cluster, aws_secret(stage.namespace, "bucket"))
    found = await loader_of(stage, load_credentials="bucket")
    spec = found["spec"]
    assert spec["automountServiceAccountToken"] is False
    (container,) = spec["containers"]
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/data", "/tmp"}  # noqa: S108
    assert not [volume for volume in spec["volumes"] if "projected" in volume]
    refs = [e["valueFrom"]["secretKeyRef"]["name"] for e in container["env"] if "valueFrom" in e]
    assert set(refs) == {"bucket"}
    assert "wJalrXUtnFEMI" not in str(found)


async def test_quotas_and_limits_of_a_namespace_admit_it(cluster: Cluster, stage: Stage) -> None:
    """A quota admits no Pod without requests and limits, and a LimitRange of defaults changes none that has them."""
    hard = {f"{kind}.{name}": "4Gi" for kind in ("requests", "limits") for name in ("memory", "ephemeral-storage")}
    hard |= {"requests.cpu": "4", "limits.cpu": "4", "pods": "4"}
    await made(cluster, manifest("ResourceQuota", "quota", stage.namespace, spec={"hard": hard}))
    item = {"type": "Container", "default": {"cpu": "10m", "memory": "16Mi"}, "max": {"cpu": "4", "memory": "1Gi"}}
    await made(cluster, manifest("LimitRange", "limits", stage.namespace, spec={"limits": [item]}))

    async def enforced() -> bool:
        found = await cluster.get(manifest("ResourceQuota", "quota", stage.namespace))
        return bool((found.body.get("status") or {}).get("hard"))

    await until(enforced)
    (container,) = (await loader_of(stage))["spec"]["containers"]
    assert container["resources"]["limits"]["memory"] == "512Mi"
    assert container["resources"]["requests"]["cpu"] == "500m"


async def test_a_quota_that_admits_it_not_is_the_reason_that_is_told(cluster: Cluster, stage: Stage) -> None:
    item = {"type": "Container", "max": {"cpu": "100m", "memory": "64Mi"}}
    await made(cluster, manifest("LimitRange", "limits", stage.namespace, spec={"limits": [item]}))
    await stage.claim(load_source=SOURCE)
    await stage.until_told("Pending", words="maximum cpu usage per Container is 100m")


async def test_a_secret_of_another_namespace_is_never_used(cluster: Cluster, stage: Stage) -> None:
    other = await cluster.namespace()
    await made(cluster, aws_secret(other, "theirs"))
    await stage.claim(load_source=SOURCE, load_credentials="theirs")
    await stage.until_told("Pending", words=f"Secret theirs ({terms.CREDENTIALS}) is not there")
    assert not await stage.jobs()


async def test_a_secret_of_another_type_is_refused(cluster: Cluster, stage: Stage) -> None:
    await made(cluster, manifest("Secret", "plain", stage.namespace, stringData={"AWS_ACCESS_KEY_ID": "a"}))
    await stage.claim(load_source=SOURCE, load_credentials="plain")
    await stage.until_told("InvalidSpec", words="Secret plain is of type Opaque")
    assert not await stage.jobs()


async def test_the_network_of_loaders_is_what_the_docs_say(stage: Stage) -> None:
    """Nobody gets in; DNS anywhere; HTTPS but not to metadata servers and what is kept out; all of what is allowed."""
    await loader_of(stage)
    found = await stage.client.get(Ref("networking.k8s.io/v1", "NetworkPolicy", stage.namespace, POLICY))
    assert found is not None
    spec = found["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in spec
    assert spec["podSelector"] == {"matchExpressions": [{"key": terms.LOADER_LABEL, "operator": "Exists"}]}
    dns, https, allowed = spec["egress"]
    assert {(port["protocol"], port["port"]) for port in dns["ports"]} == {("UDP", 53), ("TCP", 53)}
    assert https["ports"] == [{"protocol": "TCP", "port": 443}]
    blocks = {peer["ipBlock"]["cidr"]: peer["ipBlock"]["except"] for peer in https["to"]}
    assert blocks == {"0.0.0.0/0": ["169.254.0.0/16", "10.0.0.0/8"], "::/0": ["fe80::/10"]}
    assert allowed == {"to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}
