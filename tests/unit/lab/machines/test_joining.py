"""Discovery and TLS bootstrap against an API server with a CA of its own."""

from __future__ import annotations

import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import TestServer
from kaas_lab.machines import bootstrap, pki
from kaas_lab.machines.bootstrap import CSRS, JoinRefused
from kaas_lab.machines.kubeadm import Discovery

from tests.unit.lab.machines.api_stub import Stub
from tests.unit.lab.machines.test_bootstrap import TOKEN, signed
from tests.unit.lab.machines.test_pki import write_authority

INFO = "/api/v1/namespaces/kube-public/configmaps/cluster-info"
CONFIG = "/api/v1/namespaces/kube-system/configmaps/kubeadm-config"
NODE = "/api/v1/nodes/a"


class Cluster(Stub):
    """A stub with a CA, that names certificate signing requests and, when asked to, signs them."""

    def __init__(self, authority: pki.Authority) -> None:
        super().__init__()
        self.authority = authority
        self.verdict: dict[str, Any] = {"certificate": base64.b64encode(b"PEM of a certificate").decode()}
        content = yaml.safe_dump(
            {"clusters": [{"cluster": {"certificate-authority-data": base64.b64encode(authority.pem).decode()}}]}
        )
        self.objects[INFO] = {"data": {"kubeconfig": content, "jws-kubeconfig-abcdef": signed(content)}}
        document = {"kubernetesVersion": "v1.36.1", "controlPlaneEndpoint": "127.64.1.7:6443"}
        self.objects[CONFIG] = {"data": {"ClusterConfiguration": yaml.safe_dump(document)}}

    def _store(self, method: str, path: str, body: dict[str, Any]) -> web.Response:
        if method == "POST" and path == CSRS:
            body["metadata"]["name"] = body["metadata"].pop("generateName") + "1"
            body["status"] = self.verdict
        return super()._store(method, path, body)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    write_authority(tmp_path / "ca")
    return Cluster(pki.load_authority(tmp_path / "ca"))


@asynccontextmanager
async def serving(cluster: Cluster, tmp_path: Path, **changes: Any) -> AsyncIterator[Discovery]:
    """How to join the cluster, which serves at the end point."""
    pki.issue(cluster.authority, "kube-apiserver", sans=["127.0.0.1"]).write(tmp_path / "apiserver")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", cluster.handle)
    server = TestServer(app, scheme="https")
    await server.start_server(ssl=context)
    pinned = (pki.public_key_hash(cluster.authority.certificate),)
    wanted = {"endpoint": f"127.0.0.1:{server.port}", "token": TOKEN, "ca_hashes": pinned, **changes}
    try:
        yield Discovery(**wanted)
    finally:
        await server.close()


def quiet(_: str) -> None:
    """Say nothing."""


async def test_discovery(cluster: Cluster, tmp_path: Path) -> None:
    async with serving(cluster, tmp_path) as discovery:
        ca = await bootstrap.discover(discovery, quiet)
        assert ca == cluster.authority.pem
        found = await bootstrap.cluster_configuration(discovery, ca, quiet)
    assert found.endpoint == "127.64.1.7:6443"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"ca_hashes": ("sha256:00",)}, "none of the public keys"),
        (
            {"token": "zzzzzz.0123456789abcdef"},
            "no JWS signed token in the cluster-info ConfigMap for token id 'zzzzzz'",
        ),
        ({"token": "abcdef.ffffffffffffffff"}, "invalid signature"),
    ],
)
async def test_what_is_wrong_is_not_trusted(
    cluster: Cluster, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    async with serving(cluster, tmp_path, **changes) as discovery:
        with pytest.raises(JoinRefused, match=reason):
            await bootstrap.discover(discovery, quiet, seconds=0)


async def test_tls_bootstrap(cluster: Cluster, tmp_path: Path) -> None:
    async with serving(cluster, tmp_path) as discovery:
        text = await bootstrap.bootstrap_kubelet(discovery, cluster.authority.pem, "a", "https://a:6443", quiet)
    config = yaml.safe_load(text)
    assert config["clusters"][0]["cluster"]["server"] == "https://a:6443"
    assert base64.b64decode(config["users"][0]["user"]["client-certificate-data"]) == b"PEM of a certificate"
    request = cluster.objects[f"{CSRS}/csr-1"]["spec"]
    assert request["signerName"] == "kubernetes.io/kube-apiserver-client-kubelet"


async def test_a_request_that_is_denied(cluster: Cluster, tmp_path: Path) -> None:
    cluster.verdict = {"conditions": [{"type": "Denied", "message": "not you"}]}
    async with serving(cluster, tmp_path) as discovery:
        with pytest.raises(JoinRefused, match="not you"):
            await bootstrap.bootstrap_kubelet(discovery, cluster.authority.pem, "a", "https://a:6443", quiet)


async def test_a_request_that_nobody_signs(cluster: Cluster, tmp_path: Path) -> None:
    cluster.verdict = {}
    async with serving(cluster, tmp_path) as discovery:
        with pytest.raises(JoinRefused, match="not signed yet"):
            await bootstrap.bootstrap_kubelet(discovery, cluster.authority.pem, "a", "https://a:6443", quiet, seconds=0)


@pytest.mark.parametrize(("status", "refused"), [("True", True), ("Unknown", False)])
async def test_a_name_that_is_taken(cluster: Cluster, tmp_path: Path, status: str, refused: bool) -> None:
    cluster.objects[NODE] = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": status}]}}
    async with serving(cluster, tmp_path) as discovery:
        attempt = bootstrap.bootstrap_kubelet(discovery, cluster.authority.pem, "a", "https://a:6443", quiet)
        if refused:
            with pytest.raises(JoinRefused, match="already exists in the cluster"):
                await attempt
        else:
            assert await attempt
