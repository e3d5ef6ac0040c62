"""Joining a cluster as kubeadm does: discovery by token, TLS bootstrap of the kubelet, and what `init` leaves."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import yaml

from . import pki
from .api import NOT_FOUND, Api, ApiError, Object, kubeconfig, trusting
from .kubeadm import CONTROL_PLANE_ROLE, ClusterConfiguration, Discovery, parse_cluster

# cmd/kubeadm/app/constants/constants.go
DISCOVERY_SECONDS = 300.0
TLS_BOOTSTRAP_SECONDS = 300.0
RETRY_SECONDS = 1.0
TOKENS_GROUP = "system:bootstrappers:kubeadm:default-node-token"
NODES_GROUP = "system:nodes"
KUBELET_SIGNER = "kubernetes.io/kube-apiserver-client-kubelet"
RBAC = "/apis/rbac.authorization.k8s.io/v1"
CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
LAB_ROLE = "kaas-lab:kubelet"

Say = Callable[[str], None]
T = TypeVar("T")


class JoinRefused(Exception):
    """The cluster cannot be joined with this configuration, and trying again will not help."""


async def discover(discovery: Discovery, say: Say, seconds: float = DISCOVERY_SECONDS) -> bytes:
    """The cluster's CA as PEM, checked against token and hashes. Raises JoinRefused after `seconds` or when wrong."""
    info = await _retry("cluster-info", lambda: _cluster_info(discovery), say, seconds)
    content = info["data"].get("kubeconfig", "")
    signature = info["data"].get(f"jws-kubeconfig-{discovery.token.partition('.')[0]}", "")
    if not verify_signature(content, signature, discovery.token):
        raise JoinRefused("the cluster-info ConfigMap carries an invalid signature for this token")
    cluster = yaml.load(content, yaml.CSafeLoader)["clusters"][0]["cluster"]
    ca = base64.b64decode(cluster["certificate-authority-data"])
    check_hashes(ca, discovery)
    return ca


def check_hashes(ca: bytes, discovery: Discovery) -> None:
    """Raises JoinRefused unless one of the pinned hashes is the CA's."""
    if discovery.skip_ca_verification:
        return
    actual = pki.public_key_hash(pki.parse_certificate(ca))
    if actual not in {h.lower() for h in discovery.ca_hashes}:
        raise JoinRefused(
            f"cluster CA found in cluster-info ConfigMap is invalid: none of the public keys {actual!r} are pinned"
        )


def verify_signature(content: str, signature: str, token: str) -> bool:
    """Whether a detached JWS (HS256) of the bootstrap signer belongs to this content and token."""
    identity, _, secret = token.partition(".")
    header, _, rest = signature.partition(".")
    given = rest.rpartition(".")[2]
    try:
        if json.loads(_unpadded(header)).get("kid") != identity:
            return False
    except ValueError:
        return False
    payload = base64.urlsafe_b64encode(content.encode()).rstrip(b"=")
    expected = hmac.new(secret.encode(), header.encode() + b"." + payload, hashlib.sha256).digest()
    return hmac.compare_digest(base64.urlsafe_b64encode(expected).rstrip(b"=").decode(), given)


async def cluster_configuration(discovery: Discovery, ca: bytes, say: Say) -> ClusterConfiguration:
    """What `kubeadm join` reads from the cluster with its token. Raises JoinRefused, KubeadmError."""

    async def read() -> Object:
        async with Api(f"https://{discovery.endpoint}", trusting(ca), discovery.token) as api:
            return await api.get("/api/v1/namespaces/kube-system/configmaps/kubeadm-config")

    found = await _retry("kubeadm-config", read, say, DISCOVERY_SECONDS)
    return parse_cluster(found["data"]["ClusterConfiguration"])


async def bootstrap_kubelet(
    discovery: Discovery, ca: bytes, node: str, server: str, say: Say, seconds: float = TLS_BOOTSTRAP_SECONDS
) -> str:
    """The kubelet's kubeconfig for `server`, its certificate signed by the cluster. Raises JoinRefused."""
    user = f"system:node:{node}"
    request, key = pki.signing_request(user, [NODES_GROUP])
    async with Api(f"https://{discovery.endpoint}", trusting(ca), discovery.token) as api:
        await _retry("node name", lambda: _name_is_free(api, node), say, seconds)
        path = await _retry("certificate signing request", lambda: _submit(api, request), say, seconds)
        certificate = await _retry("certificate", lambda: _issued(api, path), say, seconds, quiet=True)
    return kubeconfig(server, ca, certificate, key, user)


async def _cluster_info(discovery: Discovery) -> Object:
    """cluster-info as anybody may read it; the token signs it later than the ConfigMap appears."""
    async with Api(f"https://{discovery.endpoint}", trusting(None)) as api:
        found = await api.get("/api/v1/namespaces/kube-public/configmaps/cluster-info")
    identity = discovery.token.partition(".")[0]
    if f"jws-kubeconfig-{identity}" not in found["data"]:
        raise ApiError(0, f"there is no JWS signed token in the cluster-info ConfigMap for token id {identity!r}")
    return found


async def _name_is_free(api: Api, node: str) -> bool:
    """Kubeadm refuses a name that a Ready node of the cluster has."""
    try:
        found = await api.get(f"/api/v1/nodes/{node}")
    except ApiError as error:
        if error.status == NOT_FOUND:
            return True
        raise
    ready = [c for c in found.get("status", {}).get("conditions", []) if c["type"] == "Ready"]
    if ready and ready[0]["status"] == "True":
        raise JoinRefused(f"a Node with name {node!r} and status Ready already exists in the cluster")
    return True


async def _submit(api: Api, request: bytes) -> str:
    body: Object = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"generateName": "csr-"},
        "spec": {
            "request": base64.b64encode(request).decode(),
            "signerName": KUBELET_SIGNER,
            "usages": ["digital signature", "client auth"],
        },
    }
    created = await api.post(CSRS, body)
    return f"{CSRS}/{created['metadata']['name']}"


async def _issued(api: Api, path: str) -> bytes:
    status = (await api.get(path)).get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] in ("Denied", "Failed"):
            raise JoinRefused(f"the kubelet's certificate signing request was refused: {condition.get('message')}")
    if "certificate" not in status:
        raise ApiError(0, "the kubelet's certificate signing request is not signed yet")
    return base64.b64decode(status["certificate"])


async def _retry(
    what: str, attempt: Callable[[], Coroutine[Any, Any, T]], say: Say, seconds: float, *, quiet: bool = False
) -> T:
    """Try until it works, telling each new reason once. Raises JoinRefused after `seconds`."""
    loop = asyncio.get_running_loop()
    end, told = loop.time() + seconds, ""
    while True:
        try:
            return await attempt()
        except ApiError as error:
            if str(error) != told and not quiet:
                told = str(error)
                say(f"waiting for {what}: {error}")
            if loop.time() > end:
                raise JoinRefused(f"couldn't get {what} in {seconds:.0f} s: {error}") from error
        await asyncio.sleep(RETRY_SECONDS)


def _unpadded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


async def leave_behind(api: Api, cluster: ClusterConfiguration, ca: bytes, kubelet: Object) -> None:
    """What the end of `kubeadm init` puts into a new cluster, for the administrator's client `api`."""
    for path, body in _objects(cluster, ca, kubelet):
        await api.create(path, body)


def _objects(cluster: ClusterConfiguration, ca: bytes, kubelet: Object) -> list[tuple[str, Object]]:
    info = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": "",
                "cluster": {
                    "server": f"https://{cluster.endpoint}",
                    "certificate-authority-data": base64.b64encode(ca).decode(),
                },
            }
        ],
    }
    uploaded = {"ClusterConfiguration": cluster.document}
    return [
        _map("kube-system", "kubeadm-config", uploaded),
        _map("kube-system", "kubelet-config", {"kubelet": yaml.safe_dump(kubelet)}),
        _map("kube-public", "cluster-info", {"kubeconfig": yaml.safe_dump(info)}),
        *_readers("kube-system", "kubeadm:nodes-kubeadm-config", "kubeadm-config", _groups(TOKENS_GROUP, NODES_GROUP)),
        *_readers("kube-system", "kubeadm:kubelet-config", "kubelet-config", _groups(TOKENS_GROUP, NODES_GROUP)),
        *_readers(
            "kube-public",
            "kubeadm:bootstrap-signer-clusterinfo",
            "cluster-info",
            [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:anonymous"}],
        ),
        _binding("kubeadm:kubelet-bootstrap", "system:node-bootstrapper", TOKENS_GROUP),
        _binding("kubeadm:node-autoapprove-bootstrap", f"{_CSR_ROLE}:nodeclient", TOKENS_GROUP),
        _binding("kubeadm:node-autoapprove-certificate-rotation", f"{_CSR_ROLE}:selfnodeclient", NODES_GROUP),
        _cluster_role("kubeadm:get-nodes", [{"verbs": ["get"], "apiGroups": [""], "resources": ["nodes"]}]),
        _binding("kubeadm:get-nodes", "kubeadm:get-nodes", TOKENS_GROUP),
        # kwok, which plays the Pods of a machine, lists nodes at its start; a kubelet would not
        _cluster_role(LAB_ROLE, [{"verbs": ["get", "list"], "apiGroups": [""], "resources": ["nodes"]}]),
        _binding(LAB_ROLE, LAB_ROLE, NODES_GROUP),
    ]


_CSR_ROLE = "system:certificates.k8s.io:certificatesigningrequests"


async def allow_administrators(api: Api) -> None:
    """Give kubeadm's administrators their rights; `api` is the super administrator's client."""
    path, body = _binding("kubeadm:cluster-admins", "cluster-admin", "kubeadm:cluster-admins")
    await api.create(path, body)


async def mark_control_plane(api: Api, node: str) -> None:
    """Kubeadm's labels on a control-plane node, which no kubelet may set itself."""
    wanted = {CONTROL_PLANE_ROLE: "", "node.kubernetes.io/exclude-from-external-load-balancers": ""}
    await api.patch(f"/api/v1/nodes/{node}", {"metadata": {"labels": wanted}})


def _map(namespace: str, name: str, data: dict[str, str]) -> tuple[str, Object]:
    return f"/api/v1/namespaces/{namespace}/configmaps", {"metadata": {"name": name}, "data": data}


def _cluster_role(name: str, rules: list[Object]) -> tuple[str, Object]:
    return f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules}


def _binding(name: str, role: str, group: str) -> tuple[str, Object]:
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
    return f"{RBAC}/clusterrolebindings", {
        "metadata": {"name": name},
        "roleRef": reference,
        "subjects": _groups(group),
    }


def _groups(*names: str) -> list[Object]:
    return [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": name} for name in names]


def _readers(namespace: str, name: str, config: str, subjects: list[Object]) -> list[tuple[str, Object]]:
    rule = {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": [config]}
    reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name}
    base = f"{RBAC}/namespaces/{namespace}"
    return [
        (f"{base}/roles", {"metadata": {"name": name}, "rules": [rule]}),
        (f"{base}/rolebindings", {"metadata": {"name": name}, "roleRef": reference, "subjects": subjects}),
    ]
