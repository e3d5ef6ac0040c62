"""kubeadm's configuration files, v1beta3 and v1beta4, as far as they decide what a machine becomes. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

GROUP = "kubeadm.k8s.io"
VERSIONS = ("v1beta3", "v1beta4")
CONTROL_PLANE_ROLE = "node-role.kubernetes.io/control-plane"
CONTROL_PLANE_TAINT = {"key": CONTROL_PLANE_ROLE, "effect": "NoSchedule"}
# cmd/kubeadm/app/apis/kubeadm/v1beta4/defaults.go
DEFAULT_BIND_PORT = 6443
DEFAULT_CERTIFICATES = "/etc/kubernetes/pki"
DEFAULT_DNS_DOMAIN = "cluster.local"
DEFAULT_SERVICES = "10.96.0.0/12"
TOKEN = re.compile(r"^([a-z0-9]{6})\.([a-z0-9]{16})$")
NODE_NAME = re.compile(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
VERSION = re.compile(r"^v?(\d+)\.(\d+)\.(\d+)")

Args = tuple[tuple[str, str], ...]


class KubeadmError(Exception):
    """A configuration that kubeadm refuses; the message is what its console would show."""


@dataclass(frozen=True)
class NodeRegistration:
    """How a node registers. `taints` None means the role's default, an empty list means none."""

    name: str
    kubelet_args: Args = ()
    taints: tuple[Mapping[str, str], ...] | None = None

    def kubelet(self, name: str, default: str = "") -> str:
        """Value of the kubelet's argument; the last one wins."""
        return dict(self.kubelet_args).get(name, default)


@dataclass(frozen=True)
class ClusterConfiguration:
    """What all control-plane machines of a cluster share; `document` is what kubeadm uploads to its ConfigMap."""

    version: str
    endpoint: str
    cluster_name: str = "kubernetes"
    pods: str = ""
    services: str = DEFAULT_SERVICES
    dns_domain: str = DEFAULT_DNS_DOMAIN
    certificates: str = DEFAULT_CERTIFICATES
    sans: tuple[str, ...] = ()
    api_server: Args = ()
    controller_manager: Args = ()
    scheduler: Args = ()
    etcd: Args = ()
    document: str = ""

    @property
    def endpoint_host(self) -> str:
        """Host of the control plane's endpoint, empty when there is none."""
        return self.endpoint.rpartition(":")[0].strip("[]")

    @property
    def kubernetes_service(self) -> str:
        """Address of the service `kubernetes`: the first of the service network."""
        return str(next(ipaddress.ip_network(self.services.split(",")[0]).hosts()))


@dataclass(frozen=True)
class Discovery:
    """How a machine that joins finds and trusts the cluster."""

    endpoint: str
    token: str
    ca_hashes: tuple[str, ...] = ()
    skip_ca_verification: bool = False


@dataclass(frozen=True)
class Configuration:
    """Everything in one file that was given to `kubeadm --config`."""

    node: NodeRegistration
    cluster: ClusterConfiguration | None = None
    discovery: Discovery | None = None
    control_plane: bool = False
    bind_port: int = DEFAULT_BIND_PORT
    advertise: str = ""
    documents: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def parse_init(text: str, hostname: str) -> Configuration:
    """Configuration for `kubeadm init`. Raises KubeadmError."""
    documents = _documents(text)
    if "ClusterConfiguration" not in documents:
        raise KubeadmError("no ClusterConfiguration in the file given to `kubeadm init`")
    init = documents.get("InitConfiguration", {})
    endpoint = _mapping(init, "localAPIEndpoint")
    return Configuration(
        node=_node(init, hostname),
        cluster=parse_cluster(yaml.safe_dump(dict(documents["ClusterConfiguration"]))),
        control_plane=True,
        bind_port=_port(endpoint),
        advertise=str(endpoint.get("advertiseAddress") or ""),
        documents=documents,
    )


def parse_join(text: str, hostname: str) -> Configuration:
    """Configuration for `kubeadm join`. Raises KubeadmError."""
    documents = _documents(text)
    if "JoinConfiguration" not in documents:
        raise KubeadmError("no JoinConfiguration in the file given to `kubeadm join`")
    join = documents["JoinConfiguration"]
    local = _mapping(_mapping(join, "controlPlane"), "localAPIEndpoint")
    return Configuration(
        node=_node(join, hostname),
        discovery=_discovery(join),
        control_plane=join.get("controlPlane") is not None,
        bind_port=_port(local),
        advertise=str(local.get("advertiseAddress") or ""),
        documents=documents,
    )


def parse_cluster(text: str) -> ClusterConfiguration:
    """One ClusterConfiguration, from a file or from the ConfigMap `kubeadm-config`. Raises KubeadmError."""
    document = _load(text)
    network = _mapping(document, "networking")
    api_server = _mapping(document, "apiServer")
    etcd = _mapping(document, "etcd")
    if etcd.get("external"):
        raise KubeadmError("etcd.external: the lab's machines know stacked etcd only")
    cluster = ClusterConfiguration(
        version=str(document.get("kubernetesVersion") or ""),
        endpoint=str(document.get("controlPlaneEndpoint") or ""),
        cluster_name=str(document.get("clusterName") or "kubernetes"),
        pods=str(network.get("podSubnet") or ""),
        services=str(network.get("serviceSubnet") or DEFAULT_SERVICES),
        dns_domain=str(network.get("dnsDomain") or DEFAULT_DNS_DOMAIN),
        certificates=str(document.get("certificatesDir") or DEFAULT_CERTIFICATES),
        sans=tuple(str(s) for s in api_server.get("certSANs") or ()),
        api_server=_args("apiServer.extraArgs", api_server.get("extraArgs")),
        controller_manager=_args(
            "controllerManager.extraArgs", _mapping(document, "controllerManager").get("extraArgs")
        ),
        scheduler=_args("scheduler.extraArgs", _mapping(document, "scheduler").get("extraArgs")),
        etcd=_args("etcd.local.extraArgs", _mapping(etcd, "local").get("extraArgs")),
        document=text,
    )
    _check_cluster(cluster)
    return cluster


def check_version(cluster: ClusterConfiguration, image: str) -> None:
    """Kubeadm refuses to install a version that is newer than itself, and it is as old as the machine's image."""
    if _numbers(cluster.version) > _numbers(image):
        raise KubeadmError(
            f"kubernetesVersion {cluster.version} is newer than the {image} of this machine's image: "
            "use an image made for that version"
        )


def taints(configuration: Configuration) -> list[dict[str, str]]:
    """Taints that the kubelet registers with, those of `register-with-taints` included."""
    given = configuration.node.taints
    if given is None:
        given = (CONTROL_PLANE_TAINT,) if configuration.control_plane else ()
    listed = configuration.node.kubelet("register-with-taints")
    return [dict(t) for t in given] + [_taint(word) for word in listed.split(",") if word]


def labels(node: NodeRegistration) -> dict[str, str]:
    """Labels of the kubelet's `node-labels`. Raises KubeadmError when a pair has no `=`."""
    found = {}
    for pair in filter(None, node.kubelet("node-labels").split(",")):
        key, equals, value = pair.partition("=")
        if not equals:
            raise KubeadmError(f"kubelet: invalid --node-labels: {pair!r} is not key=value")
        found[key.strip()] = value.strip()
    return found


def _documents(text: str) -> dict[str, Mapping[str, Any]]:
    try:
        loaded = [d for d in yaml.load_all(text, yaml.CSafeLoader) if d]
    except yaml.YAMLError as error:
        raise KubeadmError(f"error converting YAML to JSON: {error}") from error
    found: dict[str, Mapping[str, Any]] = {}
    for document in loaded:
        if not isinstance(document, dict) or "kind" not in document:
            raise KubeadmError("a document of the configuration has no kind")
        group, _, version = str(document.get("apiVersion")).partition("/")
        if group == GROUP and version not in VERSIONS:
            raise KubeadmError(f"apiVersion {group}/{version} is not known: use one of {', '.join(VERSIONS)}")
        found[str(document["kind"])] = document
    return found


def _load(text: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, yaml.CSafeLoader)
    except yaml.YAMLError as error:
        raise KubeadmError(f"error converting YAML to JSON: {error}") from error
    if not isinstance(document, dict):
        raise KubeadmError("ClusterConfiguration is no mapping")
    return document


def _node(document: Mapping[str, Any], hostname: str) -> NodeRegistration:
    registration = _mapping(document, "nodeRegistration")
    name = str(registration.get("name") or hostname).lower()
    if not NODE_NAME.match(name):
        raise KubeadmError(f"nodeRegistration.name: {name!r} is no DNS subdomain")
    arguments = _args("nodeRegistration.kubeletExtraArgs", registration.get("kubeletExtraArgs"))
    given = registration.get("taints")
    kept = None if given is None else tuple({k: str(v) for k, v in t.items()} for t in given)
    return NodeRegistration(name, arguments, kept)


def _discovery(join: Mapping[str, Any]) -> Discovery:
    discovery = _mapping(join, "discovery")
    bootstrap = discovery.get("bootstrapToken")
    if not bootstrap:
        raise KubeadmError("discovery.bootstrapToken: the lab's machines know discovery by token only")
    token = str(bootstrap.get("token") or "")
    if not TOKEN.match(token):
        raise KubeadmError("discovery.bootstrapToken.token: the bootstrap token is invalid")
    hashes = tuple(str(h) for h in bootstrap.get("caCertHashes") or ())
    skip = bool(bootstrap.get("unsafeSkipCAVerification"))
    if not hashes and not skip:
        raise KubeadmError("discovery.bootstrapToken: using token-based discovery without caCertHashes can be unsafe")
    endpoint = str(bootstrap.get("apiServerEndpoint") or "")
    if not endpoint.rpartition(":")[2].isdigit():
        raise KubeadmError(f"discovery.bootstrapToken.apiServerEndpoint: {endpoint!r} is not host:port")
    return Discovery(endpoint, token, hashes, skip)


def _check_cluster(cluster: ClusterConfiguration) -> None:
    _numbers(cluster.version)
    for name, value in (("podSubnet", cluster.pods), ("serviceSubnet", cluster.services)):
        for network in filter(None, value.split(",")):
            try:
                ipaddress.ip_network(network)
            except ValueError as error:
                raise KubeadmError(f"networking.{name}: {error}") from error


def _numbers(version: str) -> tuple[int, ...]:
    if not (match := VERSION.match(version)):
        raise KubeadmError(f"kubernetesVersion: {version!r} is no version")
    return tuple(int(n) for n in match.groups())


def _args(where: str, value: Any) -> Args:
    if value is None:
        return ()
    if isinstance(value, dict):  # v1beta3
        return tuple((str(k), str(v)) for k, v in value.items())
    if isinstance(value, list) and all(isinstance(a, dict) and "name" in a for a in value):
        return tuple((str(a["name"]), str(a.get("value", ""))) for a in value)
    raise KubeadmError(f"{where} is no list of name and value")


def _mapping(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    value = document.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise KubeadmError(f"{key} is a {type(value).__name__}, not a mapping")
    return value


def _port(endpoint: Mapping[str, Any]) -> int:
    return int(endpoint.get("bindPort") or DEFAULT_BIND_PORT)


def _taint(word: str) -> dict[str, str]:
    pair, colon, effect = word.rpartition(":")
    key, _, value = pair.partition("=")
    if not colon or effect not in ("NoSchedule", "PreferNoSchedule", "NoExecute"):
        raise KubeadmError(f"kubelet: invalid --register-with-taints: {word!r}")
    return {"key": key, "effect": effect} | ({"value": value} if value else {})
