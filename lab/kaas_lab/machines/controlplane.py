"""A control-plane machine: the certificates that kubeadm makes, and how it starts etcd and the three components.

The defaults are kubeadm's (cmd/kubeadm/app/phases/controlplane/manifests.go, phases/etcd/local.go); extraArgs of the
configuration win. What differs from a real machine is where it listens: at its loopback address in place of its
address in the tenant's network, with the egress proxy between the two.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import yaml

from . import pki
from .api import kubeconfig
from .disk import Disk
from .kubeadm import Args, ClusterConfiguration

ETCD_CLIENT, ETCD_PEER, ETCD_METRICS = 2379, 2380, 2381
KUBELET_PORT = 10250
COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
KUBERNETES = "/etc/kubernetes"
EGRESS_SOCKET = "egress.sock"  # relative to the machine's directory: socket paths may not exceed 107 bytes
EGRESS_CONFIG = "/etc/kubernetes/egress.yaml"
ADMINS = "kubeadm:cluster-admins"
# The lab's servers hold few objects: collect garbage less often, keep small histories.
ENVIRONMENT = {"GOGC": "200"}


@dataclass(frozen=True)
class Place:
    """Where one machine is: its loopback address, its address in the tenant's network, and the API server's port."""

    node: str
    address: str
    advertise: str
    port: int

    @property
    def server(self) -> str:
        """URL of this machine's own API server."""
        return f"https://{self.address}:{self.port}"

    @property
    def etcd_client(self) -> str:
        """URL of this machine's etcd for clients."""
        return f"https://{self.address}:{ETCD_CLIENT}"

    @property
    def etcd_peer(self) -> str:
        """URL of this machine's etcd for its peers."""
        return f"https://{self.address}:{ETCD_PEER}"


def issue_certificates(disk: Disk, cluster: ClusterConfiguration, place: Place) -> None:
    """Kubeadm's certs phase. Raises pki.CertificateError when an authority is missing or wrong."""
    base = disk.path(cluster.certificates)
    ca = pki.load_authority(base / "ca")
    etcd = pki.load_authority(base / "etcd/ca")
    front_proxy = pki.load_authority(base / "front-proxy-ca")
    pki.load_key(base / "sa.key")
    if not (base / "sa.pub").exists():
        raise pki.CertificateError(f"{base}/sa.pub is missing: the user data did not bring it")
    pki.issue(ca, "kube-apiserver", sans=server_names(cluster, place)).write(base / "apiserver")
    pki.issue(ca, "kube-apiserver-kubelet-client", [ADMINS]).write(base / "apiserver-kubelet-client")
    pki.issue(etcd, "kube-apiserver-etcd-client").write(base / "apiserver-etcd-client")
    pki.issue(front_proxy, "front-proxy-client").write(base / "front-proxy-client")
    local = ["localhost", "127.0.0.1", "::1", place.node, place.address, place.advertise]
    for name in ("server", "peer"):
        pki.issue(etcd, place.node, sans=local).write(base / "etcd" / name)
    pki.issue(etcd, "kube-etcd-healthcheck-client").write(base / "etcd/healthcheck-client")


def server_names(cluster: ClusterConfiguration, place: Place) -> list[str]:
    """Names and addresses in the API server's certificate."""
    services = ["kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    return [
        *services,
        f"kubernetes.default.svc.{cluster.dns_domain}",
        cluster.kubernetes_service,
        place.node,
        place.advertise,
        place.address,
        "127.0.0.1",
        cluster.endpoint_host,
        *cluster.sans,
    ]


def write_kubeconfigs(disk: Disk, cluster: ClusterConfiguration, place: Place) -> None:
    """Kubeadm's kubeconfig phase, the kubelet's apart: who bootstraps by TLS gets that one from the cluster."""
    ca = pki.load_authority(disk.path(cluster.certificates) / "ca")
    shared = f"https://{cluster.endpoint}" if cluster.endpoint else place.server
    wanted: tuple[tuple[str, str, str, list[str]], ...] = (
        ("admin", shared, "kubernetes-admin", [ADMINS]),
        ("super-admin", place.server, "kubernetes-super-admin", ["system:masters"]),
        ("controller-manager", place.server, "system:kube-controller-manager", []),
        ("scheduler", place.server, "system:kube-scheduler", []),
    )
    for name, server, user, groups in wanted:
        pair = pki.issue(ca, user, groups)
        content = kubeconfig(server, ca.pem, pair.certificate, pair.key, user)
        pki.write_secret(disk.path(f"{KUBERNETES}/{name}.conf"), content.encode())


def write_kubelet_kubeconfig(disk: Disk, cluster: ClusterConfiguration, place: Place) -> None:
    """The kubelet's kubeconfig of the first machine, which signs it itself."""
    ca = pki.load_authority(disk.path(cluster.certificates) / "ca")
    user = f"system:node:{place.node}"
    pair = pki.issue(ca, user, ["system:nodes"])
    content = kubeconfig(place.server, ca.pem, pair.certificate, pair.key, user)
    pki.write_secret(disk.path(f"{KUBERNETES}/kubelet.conf"), content.encode())


def write_egress(disk: Disk) -> None:
    """Tell the API server that nodes and services are reached through the machine's network."""
    document = {
        "apiVersion": "apiserver.k8s.io/v1beta1",
        "kind": "EgressSelectorConfiguration",
        "egressSelections": [
            {
                "name": "cluster",
                "connection": {
                    "proxyProtocol": "HTTPConnect",
                    "transport": {"uds": {"udsName": EGRESS_SOCKET}},
                },
            }
        ],
    }
    target = disk.path(EGRESS_CONFIG)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(document))


def etcd_arguments(disk: Disk, cluster: ClusterConfiguration, place: Place, members: str) -> list[str]:
    """How etcd starts; `members` is its `initial-cluster` when it joins others, empty when it is the first."""
    base = f"{cluster.certificates}/etcd"
    defaults = {
        "name": place.node,
        "listen-client-urls": place.etcd_client,
        "advertise-client-urls": place.etcd_client,
        "listen-peer-urls": place.etcd_peer,
        "initial-advertise-peer-urls": place.etcd_peer,
        "listen-metrics-urls": f"http://{place.address}:{ETCD_METRICS}",
        "data-dir": "/var/lib/etcd",
        "cert-file": f"{base}/server.crt",
        "key-file": f"{base}/server.key",
        "trusted-ca-file": f"{base}/ca.crt",
        "client-cert-auth": "true",
        "peer-cert-file": f"{base}/peer.crt",
        "peer-key-file": f"{base}/peer.key",
        "peer-trusted-ca-file": f"{base}/ca.crt",
        "peer-client-cert-auth": "true",
        "snapshot-count": "10000",
        "watch-progress-notify-interval": "5s",
        "unsafe-no-fsync": "true",  # a lab's data may be lost with its host
        "quota-backend-bytes": str(512 << 20),
        "initial-cluster": members or f"{place.node}={place.etcd_peer}",
        "initial-cluster-state": "existing" if members else "new",
    }
    disk.path("/var/lib/etcd").mkdir(parents=True, exist_ok=True)
    disk.path("/var/lib/etcd").chmod(0o700)
    return flags(disk, defaults, _without(cluster.etcd, ("listen-metrics-urls", "listen-client-urls")))


def api_server_arguments(disk: Disk, cluster: ClusterConfiguration, place: Place) -> list[str]:
    """How kube-apiserver starts."""
    base = cluster.certificates
    defaults = {
        "advertise-address": place.advertise,
        "bind-address": place.address,
        "secure-port": str(place.port),
        "allow-privileged": "true",
        "authorization-mode": "Node,RBAC",
        "enable-admission-plugins": "NodeRestriction",
        "enable-bootstrap-token-auth": "true",
        "client-ca-file": f"{base}/ca.crt",
        "tls-cert-file": f"{base}/apiserver.crt",
        "tls-private-key-file": f"{base}/apiserver.key",
        "etcd-servers": place.etcd_client,
        "etcd-cafile": f"{base}/etcd/ca.crt",
        "etcd-certfile": f"{base}/apiserver-etcd-client.crt",
        "etcd-keyfile": f"{base}/apiserver-etcd-client.key",
        "kubelet-client-certificate": f"{base}/apiserver-kubelet-client.crt",
        "kubelet-client-key": f"{base}/apiserver-kubelet-client.key",
        "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
        "requestheader-username-headers": "X-Remote-User",
        "requestheader-group-headers": "X-Remote-Group",
        "requestheader-extra-headers-prefix": "X-Remote-Extra-",
        "requestheader-client-ca-file": f"{base}/front-proxy-ca.crt",
        "requestheader-allowed-names": "front-proxy-client",
        "proxy-client-cert-file": f"{base}/front-proxy-client.crt",
        "proxy-client-key-file": f"{base}/front-proxy-client.key",
        "service-cluster-ip-range": cluster.services,
        "service-account-issuer": f"https://kubernetes.default.svc.{cluster.dns_domain}",
        "service-account-key-file": f"{base}/sa.pub",
        "service-account-signing-key-file": f"{base}/sa.key",
        "egress-selector-config-file": EGRESS_CONFIG,
    }
    return flags(disk, defaults, _without(cluster.api_server, ("bind-address",)))


def controller_manager_arguments(disk: Disk, cluster: ClusterConfiguration, place: Place) -> list[str]:
    """How kube-controller-manager starts."""
    config = f"{KUBERNETES}/controller-manager.conf"
    base = cluster.certificates
    defaults = {
        "bind-address": place.address,
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "client-ca-file": f"{base}/ca.crt",
        "requestheader-client-ca-file": f"{base}/front-proxy-ca.crt",
        "root-ca-file": f"{base}/ca.crt",
        "service-account-private-key-file": f"{base}/sa.key",
        "cluster-signing-cert-file": f"{base}/ca.crt",
        "cluster-signing-key-file": f"{base}/ca.key",
        "use-service-account-credentials": "true",
        "controllers": "*,bootstrapsigner,tokencleaner",
        "cluster-name": cluster.cluster_name,
        "leader-elect": "true",
    }
    if cluster.pods:
        defaults |= {
            "allocate-node-cidrs": "true",
            "cluster-cidr": cluster.pods,
            "service-cluster-ip-range": cluster.services,
        }
    return flags(disk, defaults, _without(cluster.controller_manager, ("bind-address",)))


def scheduler_arguments(disk: Disk, cluster: ClusterConfiguration, place: Place) -> list[str]:
    """How kube-scheduler starts."""
    config = f"{KUBERNETES}/scheduler.conf"
    defaults = {
        "bind-address": place.address,
        "kubeconfig": config,
        "authentication-kubeconfig": config,
        "authorization-kubeconfig": config,
        "leader-elect": "true",
    }
    return flags(disk, defaults, _without(cluster.scheduler, ("bind-address",)))


def flags(disk: Disk, defaults: Mapping[str, str], extra: Iterable[tuple[str, str]]) -> list[str]:
    """Command-line flags: extra ones replace defaults of the same name and may repeat; paths are the machine's own."""
    extra = list(extra)
    replaced = {name for name, _ in extra}
    pairs = [(k, v) for k, v in defaults.items() if k not in replaced] + extra
    return [f"--{name}={disk.mapped(value)}" for name, value in pairs]


def forget_etcd(disk: Disk) -> None:
    """Remove what an attempt to join left in etcd's directory."""
    shutil.rmtree(disk.path("/var/lib/etcd"), ignore_errors=True)


def _without(extra: Args, names: tuple[str, ...]) -> Args:
    """Where a machine listens is the lab's to say: a real one has addresses of its own."""
    return tuple((name, value) for name, value in extra if name not in names)
