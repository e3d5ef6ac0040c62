"""What a cluster with Pods needs beyond a management cluster: more of the API server and controllers, a scheduler."""

from __future__ import annotations

from pathlib import Path

from kaas_lab import processes
from kaas_lab.api_server import answers
from kaas_lab.build import binary
from kaas_lab.layout import Layout

SCHEDULER_PORT, KUBELET_PORT = 4, 70
"""Offsets into the lab's ports; the kubelets have the ten from KUBELET_PORT on."""
_READY_SECONDS = 180.0

# Those by which Pods, their owners and their volumes live; the others take memory for nothing.
CONTROLLERS = (
    "cronjob-controller",
    "daemonset-controller",
    "deployment-controller",
    "disruption-controller",
    "endpoints-controller",
    "endpointslice-controller",
    "ephemeral-volume-controller",
    "garbage-collector-controller",
    "job-controller",
    "namespace-controller",
    "node-lifecycle-controller",
    "persistentvolume-binder-controller",
    "persistentvolume-protection-controller",
    "persistentvolumeclaim-protection-controller",
    "pod-garbage-collector-controller",
    "replicaset-controller",
    "resourcequota-controller",
    "root-ca-certificate-publisher-controller",
    "serviceaccount-controller",
    "statefulset-controller",
    "taint-eviction-controller",
    "ttl-after-finished-controller",
)


def api_server_arguments(certificates: Path) -> list[str]:
    """Options by which the API server knows nodes, and reaches their kubelets."""
    return [
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        f"--kubelet-certificate-authority={certificates / 'ca.crt'}",
        f"--kubelet-client-certificate={certificates / 'admin.crt'}",
        f"--kubelet-client-key={certificates / 'admin.key'}",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def controller_manager_arguments(certificates: Path) -> list[str]:
    """Options of controllers that serve Pods. A node that says nothing for ten seconds is taken to be away."""
    return [
        f"--controllers={','.join(CONTROLLERS)}",
        f"--root-ca-file={certificates / 'ca.crt'}",
        f"--service-account-private-key-file={certificates / 'sa.key'}",
        "--node-monitor-grace-period=10s",
        "--node-monitor-period=1s",
        "--node-startup-grace-period=10s",
    ]


def start_scheduler(layout: Layout) -> None:
    """Start kube-scheduler; returns when it is ready. Raises ProcessFailed."""
    port, certs, name = layout.management_port(SCHEDULER_PORT), layout.certificates, "kube-scheduler"
    arguments = [
        f"--kubeconfig={layout.kubeconfig}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={port}",
        f"--tls-cert-file={certs / 'tls.crt'}",
        f"--tls-private-key-file={certs / 'tls.key'}",
        "--kube-api-qps=300",
        "--kube-api-burst=600",
    ]
    log = layout.logs / f"{name}.log"
    process = processes.spawn(layout.state, name, [binary(name), *arguments], log=log)
    health = f"https://127.0.0.1:{port}/healthz"
    processes.wait_until(name, lambda: answers(health, certs / "ca.crt"), process, log, _READY_SECONDS)
