"""kwok as the kubelet of one machine: it plays the machine's Pods and serves the kubelet's port.

One process a machine, with the machine's own credentials and selectors: when the machine goes, so do its Pods' heart
beats, its logs and its port-forwards, with nothing to keep in step. Nodes and leases are not its business.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

import yaml

from . import controlplane, nodeobject
from .controlplane import ETCD_CLIENT, KUBELET_PORT, Place
from .disk import Disk

CONFIG = "/etc/kwok.yaml"
POD_LOG = "/var/log/pods.log"
SERVING = "/var/lib/kubelet/pki/kubelet"
MIRROR = '.metadata.annotations["kubernetes.io/config.mirror"]'
READY = '.status.conditions.[] | select( .type == "Ready" ) | .status'
ENVIRONMENT = {"GOGC": "100", "GOMAXPROCS": "1"}


def write_config(disk: Disk, place: Place, now: dt.datetime, *, control_plane: bool) -> None:
    """Everything that kwok is told, in one file."""
    documents = [*_pod_stages(), _idle_node_stage(), _logs(disk)]
    if control_plane:
        documents += [
            _port_forward(f"etcd-{place.node}", place.address, ETCD_CLIENT),
            _port_forward(f"kube-apiserver-{place.node}", place.address, place.port),
        ]
    target = disk.path(CONFIG)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump_all(documents))
    log = disk.path(POD_LOG)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(f"{nodeobject.microtime(now)} stdout F This Pod is played: it has a status and no process.\n")


def arguments(disk: Disk, place: Place) -> list[str]:
    """How kwok starts."""
    return [
        f"--kubeconfig={disk.path(controlplane.KUBERNETES + '/kubelet.conf')}",
        f"--config={disk.path(CONFIG)}",
        "--manage-all-nodes=false",
        f"--manage-single-node={place.node}",
        "--node-lease-duration-seconds=0",
        f"--node-ip={place.advertise}",
        f"--node-port={KUBELET_PORT}",
        f"--server-address={place.address}:{KUBELET_PORT}",
        f"--tls-cert-file={disk.path(SERVING + '.crt')}",
        f"--tls-private-key-file={disk.path(SERVING + '.key')}",
    ]


def _stage(name: str, kind: str, expressions: list[tuple[str, str, list[str]]], then: dict[str, Any]) -> dict[str, Any]:
    selector = [
        {"key": key, "operator": operator} | ({"values": values} if values else {})
        for key, operator, values in expressions
    ]
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "Stage",
        "metadata": {"name": name},
        "spec": {
            "resourceRef": {"apiGroup": "v1", "kind": kind},
            "selector": {"matchExpressions": selector},
            "next": then,
        },
    }


def _pod_stages() -> list[dict[str, Any]]:
    """A Pod runs, runs again when its node was lost for a while, ends when a Job owns it, and goes when deleted."""
    living: list[tuple[str, str, list[str]]] = [
        (".metadata.deletionTimestamp", "DoesNotExist", []),
        (MIRROR, "DoesNotExist", []),
    ]
    running = [*living, (".status.phase", "In", ["Running"])]
    return [
        _stage("run", "Pod", [*living, (".status.podIP", "DoesNotExist", [])], {"statusTemplate": RUNNING}),
        _stage("resume", "Pod", [*running, (READY, "In", ["False"])], {"statusTemplate": READY_AGAIN}),
        _stage(
            "complete",
            "Pod",
            [*running, (".metadata.ownerReferences.[].kind", "In", ["Job"])],
            {"statusTemplate": COMPLETED},
        ),
        _stage("remove", "Pod", [(".metadata.deletionTimestamp", "Exists", [])], {"delete": True}),
    ]


def _idle_node_stage() -> dict[str, Any]:
    """Without any stage for nodes kwok would bring its own, and write the Node that the machine's kubelet writes."""
    return _stage("none", "Node", [(".metadata.name", "DoesNotExist", [])], {"statusTemplate": ""})


def _logs(disk: Disk) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "ClusterLogs",
        "metadata": {"name": "all"},
        "spec": {"logs": [{"logsFile": str(disk.path(POD_LOG))}]},
    }


def _port_forward(pod: str, address: str, port: int) -> dict[str, Any]:
    return {
        "apiVersion": "kwok.x-k8s.io/v1alpha1",
        "kind": "PortForward",
        "metadata": {"name": pod, "namespace": "kube-system"},
        "spec": {"forwards": [{"ports": [port], "target": {"address": address, "port": port}}]},
    }


READY_AGAIN = """
{{ $now := Now }}
conditions:
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
"""

RUNNING = """
{{ $now := Now }}
phase: Running
startTime: {{ $now | Quote }}
hostIP: {{ NodeIPWith .spec.nodeName | Quote }}
{{ $host := or .spec.hostNetwork false }}
podIP: {{ PodIPWith .spec.nodeName $host .metadata.uid .metadata.name .metadata.namespace | Quote }}
conditions:
- {type: PodReadyToStartContainers, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Initialized, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: ContainersReady, status: "True", lastTransitionTime: {{ $now | Quote }}}
- {type: Ready, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ range .spec.readinessGates }}
- {type: {{ .conditionType | Quote }}, status: "True", lastTransitionTime: {{ $now | Quote }}}
{{ end }}
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  started: true
  restartCount: 0
  state: {running: {startedAt: {{ $now | Quote }}}}
{{ end }}
initContainerStatuses:
{{ range .spec.initContainers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: true
  restartCount: 0
  {{ if eq ( or .restartPolicy "" ) "Always" }}
  started: true
  state: {running: {startedAt: {{ $now | Quote }}}}
  {{ else }}
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
  {{ end }}
{{ end }}
"""

COMPLETED = """
{{ $now := Now }}
phase: Succeeded
containerStatuses:
{{ range .spec.containers }}
- name: {{ .name | Quote }}
  image: {{ .image | Quote }}
  ready: false
  started: false
  restartCount: 0
  state: {terminated: {exitCode: 0, reason: Completed, startedAt: {{ $now | Quote }}, finishedAt: {{ $now | Quote }}}}
{{ end }}
"""
