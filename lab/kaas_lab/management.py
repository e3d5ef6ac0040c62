"""The management cluster: etcd, kube-apiserver, kube-controller-manager and Cluster API's providers as daemons."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kaas_lab import certificates, manifests, pods, processes
from kaas_lab.api_server import ApiServer, answers
from kaas_lab.build import binary
from kaas_lab.crew import Crew
from kaas_lab.layout import Layout
from kaas_lab.pods import servers
from kaas_lab.providers import CORE, DOCKER_STUB, PROVIDERS, Provider, environment

ETCD, ETCD_PEER, API_SERVER, CONTROLLER_MANAGER = 0, 1, 2, 3  # offsets of ports
NAMESPACE = "kaas-system"
_READY_SECONDS = 180.0

# GOGC of kube-apiserver. Measured while four in-memory Clusters come up: 100 takes 33 s of processor time and 890 MB,
# 200 takes 24 s and 1370 MB, 400 takes 23 s and 2130 MB.
_GARBAGE_COLLECTION = "200"

# A management cluster without Pods: nothing but owner references and namespaces has to be taken care of.
_CONTROLLERS = "garbage-collector-controller,namespace-controller"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Management:
    """A running management cluster."""

    kubeconfig: Path
    api: ApiServer
    version: str


def api_server(layout: Layout) -> ApiServer:
    """A client of the lab's API server, as administrator."""
    return ApiServer(layout.management_port(API_SERVER), layout.certificates)


def up(
    layout: Layout,
    providers: Collection[str] = CORE,
    *,
    extra_crds: Iterable[dict[str, Any]] = (),
    runs_pods: pods.Settings | None = None,
    say: Say = lambda _: None,
) -> Management:
    """Start a management cluster by itself and return when all of it is ready; it then runs on.

    As `start`; but whatever happens on the way, Ctrl-C too, every process of the lab is stopped before it raises.
    """
    processes.permit(layout.state)
    try:
        return start(layout, providers, extra_crds=extra_crds, runs_pods=runs_pods, say=say)
    except BaseException:
        processes.forbid(layout.state)
        processes.stop_all(layout.state)
        raise


def start(
    layout: Layout,
    providers: Collection[str] = CORE,
    *,
    extra_crds: Iterable[dict[str, Any]] = (),
    runs_pods: pods.Settings | None = None,
    say: Say = lambda _: None,
) -> Management:
    """Start a management cluster as a part of a lab, and return when all of it is ready.

    providers: names in `providers.PROVIDERS`; `()` gives a bare API server with garbage collection.
    extra_crds: CustomResourceDefinitions to install beside the providers'. runs_pods: nodes and images, where Pods run.
    Raises ProcessFailed with the end of the log of a part that does not start, and NotBuilt. What runs by then is left
    to the caller: if it were stopped here, other parts of the lab would fail too, and be taken for the cause.
    """
    chosen = [PROVIDERS[name] for name in providers]
    certificates.ensure(layout.certificates)
    api = api_server(layout)
    certificates.write_kubeconfig(layout.kubeconfig, api.url, layout.certificates)
    _start_api_server(layout, api, runs_pods=runs_pods is not None)
    version = api.version()
    say(f"kube-apiserver {version} is ready")
    _install(layout, api, chosen, [*extra_crds, *(pods.definitions.load() if runs_pods else ())])
    say("custom resources are served")
    crew = Crew()
    # After the CRDs: the garbage collector looks for new kinds every 30 seconds only.
    crew.start("kube-controller-manager", partial(_start_controller_manager, layout, runs_pods=runs_pods is not None))
    if runs_pods is not None:
        crew.start("pods", partial(pods.start, layout, api, runs_pods))
    for provider in chosen:
        crew.start(provider.name, partial(_start_provider, layout, provider, say))
    crew.wait()
    return Management(layout.kubeconfig, api, version)


def _spawn(layout: Layout, name: str, argv: Iterable[str | Path], **env: str) -> tuple[subprocess.Popen[bytes], Path]:
    log = layout.logs / f"{name}.log"
    return processes.spawn(layout.state, name, argv, log=log, env=env), log


def _start_api_server(layout: Layout, api: ApiServer, *, runs_pods: bool) -> None:
    crew = Crew()
    etcd, etcd_log = _spawn(layout, "etcd", [binary("etcd"), *_etcd_arguments(layout)])
    argv: list[str | Path] = [binary("kube-apiserver"), *_api_server_arguments(layout, runs_pods=runs_pods)]
    server, log = _spawn(layout, "kube-apiserver", argv, GOGC=_GARBAGE_COLLECTION)
    health = f"http://127.0.0.1:{layout.management_port(ETCD)}/health"
    crew.start("etcd", lambda: processes.wait_until("etcd", lambda: answers(health), etcd, etcd_log, _READY_SECONDS))
    crew.start("api", lambda: processes.wait_until("kube-apiserver", api.is_ready, server, log, _READY_SECONDS))
    crew.wait()


def _etcd_arguments(layout: Layout) -> list[str]:
    client = f"http://127.0.0.1:{layout.management_port(ETCD)}"
    peer = f"http://127.0.0.1:{layout.management_port(ETCD_PEER)}"
    return [
        f"--data-dir={layout.state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # a lab that loses power may lose its data
        f"--quota-backend-bytes={4 << 30}",
        "--log-level=warn",
    ]


def _api_server_arguments(layout: Layout, *, runs_pods: bool) -> list[str]:
    certs = layout.certificates
    # Without Pods no controller makes default service accounts.
    without = ["--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount"]
    return [
        f"--etcd-servers=http://127.0.0.1:{layout.management_port(ETCD)}",
        "--bind-address=127.0.0.1",
        # It would else look for an address of a network card, of which there may be none, and publish it.
        "--advertise-address=127.0.0.1",
        "--endpoint-reconciler-type=none",
        f"--secure-port={layout.management_port(API_SERVER)}",
        f"--tls-cert-file={certs / 'tls.crt'}",
        f"--tls-private-key-file={certs / 'tls.key'}",
        f"--client-ca-file={certs / 'ca.crt'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        f"--service-account-issuer=https://127.0.0.1:{layout.management_port(API_SERVER)}",
        f"--service-account-key-file={certs / 'sa.pub'}",
        f"--service-account-signing-key-file={certs / 'sa.key'}",
        "--allow-privileged=true",
        f"--cert-dir={layout.state / 'kube-apiserver'}",
        *(servers.api_server_arguments(certs) if runs_pods else without),
    ]


def _install(layout: Layout, api: ApiServer, providers: list[Provider], crds: list[dict[str, Any]]) -> None:
    bundle = certificates.ca_bundle(layout.certificates)
    documents = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}, *crds]
    for provider in providers:
        documents += manifests.load(provider.program, provider.webhook_port(layout), bundle)
    api.apply_all(documents)
    wait_established(api)


def wait_established(api: ApiServer, limit: float = 30.0) -> None:
    """Return when every CRD is served: CAPO ends, and Cluster API waits long, when a kind is missing at its start."""
    processes.wait_for("every CRD is established", lambda: not api.unestablished(), limit)


def _start_controller_manager(layout: Layout, *, runs_pods: bool) -> None:
    port, certs = layout.management_port(CONTROLLER_MANAGER), layout.certificates
    more = servers.controller_manager_arguments(certs) if runs_pods else [f"--controllers={_CONTROLLERS}"]
    arguments = [
        f"--kubeconfig={layout.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certs / 'tls.crt'}",
        f"--tls-private-key-file={certs / 'tls.key'}",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
        *more,
    ]
    name = "kube-controller-manager"
    process, log = _spawn(layout, name, [binary(name), *arguments])
    health = f"https://127.0.0.1:{port}/healthz"
    processes.wait_until(name, lambda: answers(health, certs / "ca.crt"), process, log, _READY_SECONDS)


def _start_provider(layout: Layout, provider: Provider, say: Say) -> None:
    if provider.name == "capdev":
        _start_docker_stub(layout)
    argv: list[str | Path] = [binary(provider.program), *provider.arguments(layout)]
    process, log = _spawn(layout, provider.program, argv, **environment(provider, layout))
    health = f"http://127.0.0.1:{provider.health_port(layout)}/readyz"
    processes.wait_until(provider.program, lambda: answers(health), process, log, _READY_SECONDS)
    say(f"{provider.program} is ready")


def _start_docker_stub(layout: Layout) -> None:
    port = layout.management_port(DOCKER_STUB)
    path = os.pathsep.join(p for p in sys.path if p)  # the package may be on the path of this program only
    process, log = _spawn(
        layout, "docker-stub", [sys.executable, "-m", "kaas_lab.docker_stub", str(port)], PYTHONPATH=path
    )
    processes.wait_until("docker-stub", lambda: answers(f"http://127.0.0.1:{port}/_ping"), process, log)
