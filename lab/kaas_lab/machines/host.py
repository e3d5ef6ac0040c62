"""What a machine is made of: its disk and record, its processes, its console, its network."""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import controlplane, faults, kubeadm, kwok, migmanager, pki
from .api import Api, open_kubeconfig
from .controlplane import COMPONENTS, ETCD_CLIENT, Place
from .disk import Disk, Record
from .egress import Egress
from .faults import Fault, MigFault
from .gpus import Gpus
from .kubeadm import ClusterConfiguration, Configuration
from .kubelet import Kubelet
from .migmanager import MigManager
from .nodeobject import MAX_PODS, NodeFacts
from .nova import Server
from .supervisor import Supervisor

LOG = logging.getLogger(__name__)
MANIFESTS = "/etc/kubernetes/manifests"
LAID_OUT = "/var/lib/nvidia/mig-manager/layout.json"
REGISTRATION = "/var/lib/kubelet/registration.json"
ADMIN = f"{controlplane.KUBERNETES}/admin.conf"
SUPER_ADMIN = f"{controlplane.KUBERNETES}/super-admin.conf"
KUBELET_CONFIG = f"{controlplane.KUBERNETES}/kubelet.conf"
ETCD_ANNOTATION = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
HEALTH_PORTS = {"etcd": ETCD_CLIENT, "kube-controller-manager": 10257, "kube-scheduler": 10259}


@dataclass
class Surroundings:
    """What all machines of a site share.

    state: directory of the site.
    administrator: kubeconfig of an administrator of the cluster with that CA, None while no control plane runs.
    resolve: loopback address of the machine that owns an address in the network of the server asking.
    """

    state: Path
    supervisor: Supervisor
    binary: Callable[[str], Path]
    consoles: Path
    boot_seconds: float = 1.0
    region: str = ""
    faults: list[Fault] = field(default_factory=list)
    administrator: Callable[[str], Path | None] = lambda _: None
    resolve: Callable[[str, str], str | None] = lambda _, __: None


class Host:
    """One machine, without its life: what can be read, written and started on it."""

    def __init__(self, around: Surroundings, disk: Disk, record: Record, server: Server) -> None:
        self.around, self.disk, self.record, self.server = around, disk, record, server
        self._api: Api | None = None
        self._egress: Egress | None = None
        self._answered: set[str] = set()

    def say(self, line: str) -> None:
        """A line on the machine's console and in the agent's log."""
        LOG.info("%s: %s", self.server.name, line)
        self.around.consoles.mkdir(parents=True, exist_ok=True)
        stamp = dt.datetime.now(dt.UTC).strftime("%H:%M:%S")
        with (self.around.consoles / f"{self.server.id}.log").open("a") as console:
            console.write(f"[{stamp}] {line}\n")

    def update(self, **changes: Any) -> None:
        """Change the record, here and on disk."""
        self.record = self.disk.update(self.record, **changes)

    def read(self, path: str) -> str:
        """A text file of the machine. Raises KubeadmError as kubeadm would when it is missing."""
        target = self.disk.path(path)
        if not target.is_file():
            raise kubeadm.KubeadmError(f"unable to read config from {path!r}: no such file or directory")
        return target.read_text()

    def version(self) -> str:
        """Version of kubeadm and kubelet in the image. Raises KubeadmError when it has none."""
        if not self.record.version:
            raise kubeadm.KubeadmError(
                f"the image {self.record.image!r} names no Kubernetes version: it has no kubeadm"
            )
        return self.record.version

    def close(self) -> None:
        """Let go of connections and the egress proxy."""
        if self._egress:
            self._egress.stop()
            self._egress = None
        if self._api:
            asyncio.get_running_loop().create_task(self._api.close())
            self._api = None

    # -- what kubeadm leaves on the disk ---------------------------------------------------------------------------

    def place(self, configuration: Configuration) -> Place:
        """Where this machine is, once its configuration is known."""
        advertise = configuration.advertise or self.server.fixed_ip
        return Place(configuration.node.name, self.record.address, advertise, configuration.bind_port)

    def remember(self, configuration: Configuration, cluster: ClusterConfiguration, place: Place) -> None:
        """Check and keep how the node registers, and which cluster this is. Raises KubeadmError."""
        registration = {
            "labels": kubeadm.labels(configuration.node),
            "taints": kubeadm.taints(configuration),
            "provider_id": configuration.node.kubelet("provider-id"),
            "external_cloud": configuration.node.kubelet("cloud-provider") == "external",
            "max_pods": int(configuration.node.kubelet("max-pods", str(MAX_PODS))),
            "port": place.port,
        }
        target = self.disk.path(REGISTRATION)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(registration))
        self.update(
            node=place.node,
            control_plane=configuration.control_plane,
            cluster=cluster.cluster_name,
            endpoint=cluster.endpoint,
        )

    def remember_authority(self, cluster: ClusterConfiguration) -> None:
        """Keep the hash of the cluster's CA: machines of one cluster know each other by it."""
        certificate = pki.load_certificate(self.disk.path(f"{cluster.certificates}/ca.crt"))
        self.update(authority=pki.public_key_hash(certificate))

    def manifest(self, component: str, arguments: list[str]) -> None:
        """Keep how a static Pod starts."""
        target = self.disk.path(f"{MANIFESTS}/{component}.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(arguments, indent=1))

    def _has_manifest(self, component: str) -> bool:
        return self.disk.path(f"{MANIFESTS}/{component}.json").exists()

    # -- processes -------------------------------------------------------------------------------------------------

    def start_components(self) -> None:
        """Start the static Pods that have a manifest and do not run."""
        for component in filter(self._has_manifest, COMPONENTS):
            arguments = json.loads(self.disk.path(f"{MANIFESTS}/{component}.json").read_text())
            self._spawn(component, component, arguments, controlplane.ENVIRONMENT)

    def start_kwok(self) -> None:
        """Start what plays the Pods and serves the kubelet's port, unless it runs."""
        self._spawn("kubelet", "kwok", kwok.arguments(self.disk, self._kept_place()), kwok.ENVIRONMENT)

    def _spawn(self, component: str, program: str, arguments: list[str], environment: Mapping[str, str]) -> None:
        self.around.supervisor.ensure(
            self.server.id,
            component,
            [self.around.binary(program), *arguments],
            log=self.disk.logs(component),
            cwd=self.disk.directory,
            env=environment,
        )

    async def start_egress(self) -> None:
        """Listen where the API server asks for its nodes."""
        if self._egress is None:
            self._egress = Egress(self.disk.directory, lambda ip: self.around.resolve(self.server.id, ip))
            await self._egress.start()

    def is_alive(self, component: str) -> bool:
        """Whether a process of this machine runs."""
        return self.around.supervisor.is_alive(self.server.id, component)

    async def readiness(self) -> dict[str, bool]:
        """Static Pods and whether each has answered since it started: probes without TLS would fill their logs."""
        for component in filter(self._has_manifest, COMPONENTS):
            if not self.is_alive(component):
                self._answered.discard(component)
            elif component not in self._answered and await self._answers(component):
                self._answered.add(component)
        return {component: component in self._answered for component in filter(self._has_manifest, COMPONENTS)}

    async def _answers(self, component: str) -> bool:
        if component not in HEALTH_PORTS:
            return True  # the API server's answer to the kubelet's own requests says more
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(self.record.address, HEALTH_PORTS[component])
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    # -- the kubelet -----------------------------------------------------------------------------------------------

    def faults(self) -> faults.NodeFaults:
        """What is wrong with this machine now."""
        return faults.of_node(self.around.faults, self.record.node, self.server.name, self.server.id)

    def kubelet(self, *, starting: bool) -> Kubelet:
        """A kubelet with this machine's credentials; `starting` when the machine has just booted."""
        if self._api is None:
            self._api = open_kubeconfig(self.disk.path(KUBELET_CONFIG))
        url = f"https://{self.record.address}:{ETCD_CLIENT}"
        kubelet = Kubelet(
            self._api,
            self._facts(),
            faults=self.faults,
            components=self.readiness,
            annotations={"etcd": {ETCD_ANNOTATION: url}},
            say=self.say,
            starting=starting,
        )
        kubelet.plugin_restarted = self._plugin_restarted
        return kubelet

    def _plugin_restarted(self) -> None:
        self.say("device plugin: started again, registers all devices")
        faults.end_by_plugin(self.around.state, self.record.node, self.server.name, self.server.id)

    def boot_id(self) -> str:
        """What the kernel would show in /proc/sys/kernel/random/boot_id."""
        own = self.record.own_boots
        return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{self.record.booted}/{own}" if own else self.record.booted))

    def operate_gpus(self, kubelet: Kubelet) -> MigManager:
        """NVIDIA's GPU operator here; the kubelet offers from now on what comes of it."""
        if self._api is None:
            raise RuntimeError(f"{self.server.name}: a kubelet comes before what is read of its Node")
        file = self.disk.path(LAID_OUT)
        clock = asyncio.get_running_loop().time
        gpus = Gpus(self.server.flavor.gpus, self.boot_id(), migmanager.kept(file), clock)
        kubelet.devices = gpus.devices
        return MigManager(self._api, self.record.node, gpus, file, self._mig_fault, self.say)

    def _mig_fault(self) -> MigFault:
        return faults.of_mig(self.around.faults, self.record.node, self.server.name, self.server.id)

    def prepare_kwok(self) -> None:
        """Write what kwok is told, and a serving certificate such as a kubelet signs for itself."""
        pair = pki.self_signed(self.record.node, [self.record.address, self.server.fixed_ip])
        pair.write(self.disk.path(kwok.SERVING))
        now = dt.datetime.now(dt.UTC)
        kwok.write_config(self.disk, self._kept_place(), now, control_plane=self.record.control_plane)

    def _facts(self) -> NodeFacts:
        kept = self._registration()
        return NodeFacts(
            name=self.record.node,
            server=self.server.id,
            address=self.server.fixed_ip,
            version=self.record.version,
            boot_id=self.boot_id(),
            flavor=self.server.flavor,
            labels=kept["labels"],
            taints=tuple(kept["taints"]),
            provider_id=kept["provider_id"],
            external_cloud=kept["external_cloud"],
            max_pods=kept["max_pods"],
        )

    def _kept_place(self) -> Place:
        return Place(self.record.node, self.record.address, self.server.fixed_ip, self._registration()["port"])

    def _registration(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.disk.path(REGISTRATION).read_text())
        return found
