"""One machine: boot, cloud-init, kubeadm, and then a kubelet and static Pods until it is switched off."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import logging
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kaas_lab import processes

from . import bootstrap, cloudinit, cloudprovider, controlplane, faults, kubeadm, kwok, pki
from .api import Api, ApiError, open_kubeconfig
from .controlplane import COMPONENTS, ETCD_CLIENT, Place
from .disk import Disk, Record
from .egress import Egress
from .etcdmembers import Etcd, EtcdError, initial_cluster
from .faults import Fault
from .kubeadm import ClusterConfiguration, Configuration
from .kubelet import Kubelet
from .nodeobject import MAX_PODS, NodeFacts
from .nova import Image, Server
from .supervisor import Supervisor

LOG = logging.getLogger(__name__)
MANIFESTS = "/etc/kubernetes/manifests"
REGISTRATION = "/var/lib/kubelet/registration.json"
ADMIN = f"{controlplane.KUBERNETES}/admin.conf"
SUPER_ADMIN = f"{controlplane.KUBERNETES}/super-admin.conf"
KUBELET_CONFIG = f"{controlplane.KUBERNETES}/kubelet.conf"
READY_SECONDS = 240.0  # kubeadm's ControlPlaneComponentHealthCheckTimeout
POLL_SECONDS = 0.2
SUPERVISE_SECONDS = 2.0
CLOUD_SECONDS = 1.0
FAILURES = (
    cloudinit.UserDataError,
    kubeadm.KubeadmError,
    pki.CertificateError,
    bootstrap.JoinRefused,
    processes.ProcessFailed,
    EtcdError,
)


@dataclass
class Surroundings:
    """What all machines of a site share."""

    supervisor: Supervisor
    binary: Callable[[str], Path]
    consoles: Path
    boot_seconds: float = 1.0
    region: str = "RegionOne"
    faults: list[Fault] = field(default_factory=list)
    administrator: Callable[[str], Path | None] = lambda _: None
    resolve: Callable[[str, str], str | None] = lambda _, __: None


class Machine:
    """A server that exists. `start` and `stop` are its power switch."""

    def __init__(self, around: Surroundings, disk: Disk, record: Record, server: Server, image: Image) -> None:
        self._around, self.disk, self.record, self.server, self.image = around, disk, record, server, image
        self._task: asyncio.Task[None] | None = None
        self._api: Api | None = None
        self._egress: Egress | None = None
        self._running = False

    def start(self, *, running: bool = False) -> None:
        """Switch on; `running` when it is on already and only the agent is new."""
        self._running = running
        self._task = asyncio.create_task(self._live(), name=f"machine {self.server.name}")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Switch off, hard."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await asyncio.to_thread(self._around.supervisor.kill_all, self.server.id)
        self._close()

    async def detach(self) -> None:
        """Let go without switching off: the agent ends, its machines run on."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._close()

    def say(self, line: str) -> None:
        """A line on the machine's console and in the agent's log."""
        LOG.info("%s: %s", self.server.name, line)
        self._around.consoles.mkdir(parents=True, exist_ok=True)
        stamp = dt.datetime.now(dt.UTC).strftime("%H:%M:%S")
        with (self._around.consoles / f"{self.server.id}.log").open("a") as console:
            console.write(f"[{stamp}] {line}\n")

    # -- power on ------------------------------------------------------------------------------------------------

    async def _live(self) -> None:
        if not self._running:
            await asyncio.sleep(self._around.boot_seconds)
            self.say(
                f"Linux boots on {self.server.name} ({self.server.flavor.name}), image {self.image.name or 'unknown'}"
            )
        if not self.record.joined and not self.record.failure:
            await self._first_boot()
        elif self.record.joined:
            await self._next_boot()
        if self.record.joined:
            await self._run_kubelet()

    async def _first_boot(self) -> None:
        if faults.blocks_join(self._around.faults, self.server.name):
            self._fail("cloud-init: the network is unreachable (a fault asked for it)")
            return
        try:
            await self._set_up()
        except FAILURES as error:
            self._fail(f"{_stage(error)}: {error}")
        except ApiError as error:
            self._fail(f"kubeadm: {error}")

    def _fail(self, reason: str) -> None:
        self.say(f"FAILED {reason}")
        self.record = self.disk.update(self.record, failure=reason)

    async def _set_up(self) -> None:
        """cloud-init's and kubeadm's work. An earlier attempt that the agent's end cut short is undone first."""
        await asyncio.to_thread(self._around.supervisor.kill_all, self.server.id)
        instance = cloudinit.metadata(self.server.id, self.server.hostname, self.server.zone, self.server.project)
        config = cloudinit.parse(self.server.user_data, instance)
        command = cloudinit.kubeadm_command(config)
        self.disk.format(self.record)
        for file in config.files:
            self.disk.write(file)
        self.say(f"cloud-init: wrote {len(config.files)} files, runs kubeadm {command.verb}")
        text = self._read(command.config)
        if command.verb == "init":
            await self._init(kubeadm.parse_init(text, str(instance["local_hostname"])))
        else:
            await self._join(kubeadm.parse_join(text, str(instance["local_hostname"])))
        self.record = self.disk.update(self.record, joined=True)
        self.say(f"kubeadm {command.verb} has finished: this machine is {self.record.node}")

    def _read(self, path: str) -> str:
        target = self.disk.path(path)
        if not target.is_file():
            raise kubeadm.KubeadmError(f"unable to read config from {path!r}: no such file or directory")
        return target.read_text()

    # -- kubeadm init --------------------------------------------------------------------------------------------

    async def _init(self, configuration: Configuration) -> None:
        cluster = configuration.cluster
        if cluster is None:
            raise kubeadm.KubeadmError("no ClusterConfiguration")
        kubeadm.check_version(cluster, self._version())
        place = self._place(configuration)
        self._remember(configuration, cluster, place)
        await asyncio.to_thread(self._prepare_control_plane, cluster, place)
        await asyncio.to_thread(controlplane.write_kubelet_kubeconfig, self.disk, cluster, place)
        self._manifest("etcd", controlplane.etcd_arguments(self.disk, cluster, place, ""))
        await self._start_control_plane(cluster, place)
        api = open_kubeconfig(self.disk.path(SUPER_ADMIN))
        try:
            await bootstrap.allow_administrators(api)
            ca = self.disk.path(f"{cluster.certificates}/ca.crt").read_bytes()
            kubelet = configuration.documents.get("KubeletConfiguration", KUBELET_DEFAULTS)
            await bootstrap.leave_behind(api, cluster, ca, dict(kubelet))
            await self._register(api)
        finally:
            await api.close()

    def _prepare_control_plane(self, cluster: ClusterConfiguration, place: Place) -> None:
        controlplane.issue_certificates(self.disk, cluster, place)
        controlplane.write_kubeconfigs(self.disk, cluster, place)
        controlplane.write_egress(self.disk)

    async def _start_control_plane(self, cluster: ClusterConfiguration, place: Place) -> None:
        """Start what has a manifest, then the API server, and when that is ready the other two."""
        await self._start_egress()
        self._manifest("kube-apiserver", controlplane.api_server_arguments(self.disk, cluster, place))
        self._start_components()
        await self._wait_ready(place)
        self._manifest("kube-controller-manager", controlplane.controller_manager_arguments(self.disk, cluster, place))
        self._manifest("kube-scheduler", controlplane.scheduler_arguments(self.disk, cluster, place))
        self._start_components()

    async def _wait_ready(self, place: Place) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + READY_SECONDS
        api = open_kubeconfig(self.disk.path(SUPER_ADMIN))
        try:
            while loop.time() < end:
                for component in ("etcd", "kube-apiserver"):
                    if not self._around.supervisor.is_alive(self.server.id, component):
                        log = self.disk.logs(component)
                        raise processes.ProcessFailed(f"{component} has ended: {processes.tail(log, 5)}")
                with contextlib.suppress(ApiError):
                    if await api.text("/readyz") == "ok":
                        return
                await asyncio.sleep(POLL_SECONDS)
        finally:
            await api.close()
        raise processes.ProcessFailed(f"the API server at {place.server} is not healthy after {READY_SECONDS:.0f} s")

    async def _register(self, api: Api) -> None:
        """Run a kubelet until the Node is there, then mark it; the lasting kubelet starts afterwards."""
        kubelet = self._kubelet()
        task = asyncio.create_task(kubelet.run())
        try:
            async with asyncio.timeout(READY_SECONDS):
                await kubelet.registered.wait()
            await bootstrap.mark_control_plane(api, self.record.node)
        except TimeoutError as error:
            raise bootstrap.JoinRefused(f"the kubelet did not register in {READY_SECONDS:.0f} s") from error
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    # -- kubeadm join --------------------------------------------------------------------------------------------

    async def _join(self, configuration: Configuration) -> None:
        discovery = configuration.discovery
        if discovery is None:
            raise kubeadm.KubeadmError("no discovery")
        ca = await bootstrap.discover(discovery, self.say)
        cluster = await bootstrap.cluster_configuration(discovery, ca, self.say)
        place = self._place(configuration)
        self._remember(configuration, cluster, place)
        if configuration.control_plane:
            await asyncio.to_thread(self._prepare_control_plane, cluster, place)
        else:
            pki.write_secret(self.disk.path(f"{cluster.certificates}/ca.crt"), ca)
            self._remember_authority(cluster)
        server = place.server if configuration.control_plane else f"https://{discovery.endpoint}"
        content = await bootstrap.bootstrap_kubelet(discovery, ca, place.node, server, self.say)
        pki.write_secret(self.disk.path(KUBELET_CONFIG), content.encode())
        if configuration.control_plane:
            await self._join_control_plane(cluster, place)

    async def _join_control_plane(self, cluster: ClusterConfiguration, place: Place) -> None:
        self._remember_authority(cluster)
        admin = open_kubeconfig(self.disk.path(ADMIN))
        try:
            etcd = self._etcd(cluster, await _etcd_endpoints(admin))
            await self._join_etcd(etcd, cluster, place)
            await self._start_control_plane(cluster, place)
            await self._register(admin)
        finally:
            await admin.close()

    def _etcd(self, cluster: ClusterConfiguration, endpoints: tuple[str, ...]) -> Etcd:
        base = self.disk.path(f"{cluster.certificates}/etcd")
        return Etcd(endpoints, base / "ca.crt", base / "healthcheck-client.crt", base / "healthcheck-client.key")

    async def _join_etcd(self, etcd: Etcd, cluster: ClusterConfiguration, place: Place) -> None:
        for member in await etcd.members():
            if place.etcd_peer in member.peer_urls:  # of an attempt that was cut short
                await etcd.remove(member.id)
        members = await etcd.add_learner(place.etcd_peer)
        mine = next(m for m in members if place.etcd_peer in m.peer_urls)
        known = initial_cluster(members, place.node, place.etcd_peer)
        self._manifest("etcd", controlplane.etcd_arguments(self.disk, cluster, place, known))
        self._start_components()
        await etcd.promote(mine.id)

    # -- what outlives a boot --------------------------------------------------------------------------------------

    def _place(self, configuration: Configuration) -> Place:
        advertise = configuration.advertise or self.server.fixed_ip
        return Place(configuration.node.name, self.record.address, advertise, configuration.bind_port)

    def _version(self) -> str:
        if not self.image.version:
            raise kubeadm.KubeadmError(f"the image {self.image.name!r} has no kubeadm: it names no Kubernetes version")
        return self.image.version

    def _remember(self, configuration: Configuration, cluster: ClusterConfiguration, place: Place) -> None:
        """Check and keep how the node registers, and which cluster this is."""
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
        self._version()
        self.record = self.disk.update(
            self.record,
            node=place.node,
            control_plane=configuration.control_plane,
            cluster=cluster.cluster_name,
            endpoint=cluster.endpoint,
        )
        if configuration.cluster:
            self._remember_authority(cluster)

    def _remember_authority(self, cluster: ClusterConfiguration) -> None:
        certificate = pki.load_certificate(self.disk.path(f"{cluster.certificates}/ca.crt"))
        self.record = self.disk.update(self.record, authority=pki.public_key_hash(certificate))

    def _manifest(self, component: str, arguments: list[str]) -> None:
        target = self.disk.path(f"{MANIFESTS}/{component}.json")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(arguments, indent=1))

    def _start_components(self) -> None:
        """Start the static Pods that have a manifest and do not run."""
        for component in COMPONENTS:
            manifest = self.disk.path(f"{MANIFESTS}/{component}.json")
            if manifest.exists():
                argv = [self._around.binary(component), *json.loads(manifest.read_text())]
                self._spawn(component, argv, controlplane.ENVIRONMENT)

    def _spawn(self, component: str, argv: list[str | Path], environment: Mapping[str, str]) -> None:
        self._around.supervisor.ensure(
            self.server.id,
            component,
            argv,
            log=self.disk.logs(component),
            cwd=self.disk.directory,
            env=environment,
        )

    async def _start_egress(self) -> None:
        if self._egress is None:
            self._egress = Egress(self.disk.directory, lambda ip: self._around.resolve(self.server.id, ip))
            await self._egress.start()

    async def _next_boot(self) -> None:
        if self.record.control_plane:
            await self._start_egress()
            self._start_components()

    # -- the kubelet ---------------------------------------------------------------------------------------------

    async def _run_kubelet(self) -> None:
        """Keep a kubelet while no fault says that it is dead."""
        self._prepare_kwok()
        while True:
            if self._node_faults().kubelet_dead:
                await asyncio.to_thread(self._around.supervisor.kill, self.server.id, "kubelet")
                await asyncio.sleep(POLL_SECONDS)
                continue
            await self._kubelet_life()

    async def _kubelet_life(self) -> None:
        kubelet = self._kubelet()
        tasks = [
            asyncio.create_task(kubelet.run()),
            asyncio.create_task(self._supervise(kubelet)),
            asyncio.create_task(self._await_cloud(kubelet)),
            asyncio.create_task(self._await_death()),
        ]
        try:
            await asyncio.wait([tasks[0], tasks[1], tasks[3]], return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _await_death(self) -> None:
        while not self._node_faults().kubelet_dead:  # noqa: ASYNC110 - faults come from files, nobody sets an event
            await asyncio.sleep(POLL_SECONDS)
        self.say("kubelet: killed (a fault asked for it)")

    async def _supervise(self, kubelet: Kubelet) -> None:
        """Static Pods and kwok are started again when they end, as a kubelet and systemd would."""
        while True:
            self._start_components()
            if kubelet.registered.is_set():
                self._spawn("kubelet", [self._around.binary("kwok"), *self._kwok_arguments()], kwok.ENVIRONMENT)
            await asyncio.sleep(SUPERVISE_SECONDS)

    async def _await_cloud(self, kubelet: Kubelet) -> None:
        """Be the cloud controller manager for this Node, once, with whatever control plane the lab knows."""
        await kubelet.registered.wait()
        while True:
            await asyncio.sleep(CLOUD_SECONDS)
            if (administrator := self._around.administrator(self.record.authority)) is None:
                continue
            api = open_kubeconfig(administrator)
            try:
                if await cloudprovider.initialise(api, self.record.node, self.server, self._around.region):
                    self.say("cloud-controller-manager: initialised this node")
                return
            except ApiError as error:
                LOG.debug("%s: cloud controller manager: %s", self.server.name, error)
            finally:
                await api.close()

    def _kubelet(self) -> Kubelet:
        if self._api is None:
            self._api = open_kubeconfig(self.disk.path(KUBELET_CONFIG))
        url = f"https://{self.record.address}:{ETCD_CLIENT}"
        return Kubelet(
            self._api,
            self._facts(),
            faults=self._node_faults,
            components=self._readiness,
            annotations={"etcd": {ETCD_ANNOTATION: url}},
            say=self.say,
            starting=not self._running,
        )

    def _facts(self) -> NodeFacts:
        kept = json.loads(self.disk.path(REGISTRATION).read_text())
        return NodeFacts(
            name=self.record.node,
            server=self.server.id,
            address=self.server.fixed_ip,
            version=self.image.version,
            boot_id=str(uuid.uuid5(uuid.NAMESPACE_OID, self.record.booted)),
            flavor=self.server.flavor,
            labels=kept["labels"],
            taints=tuple(kept["taints"]),
            provider_id=kept["provider_id"],
            external_cloud=kept["external_cloud"],
            max_pods=kept["max_pods"],
        )

    def _node_faults(self) -> faults.NodeFaults:
        return faults.of_node(self._around.faults, self.record.node, self.server.name, self.server.id)

    async def _readiness(self) -> dict[str, bool]:
        """Static Pods and whether each answers."""
        found = {}
        for component in COMPONENTS:
            if self.disk.path(f"{MANIFESTS}/{component}.json").exists():
                alive = self._around.supervisor.is_alive(self.server.id, component)
                found[component] = alive and await self._answers(component)
        return found

    async def _answers(self, component: str) -> bool:
        ports = {"etcd": ETCD_CLIENT, "kube-controller-manager": 10257, "kube-scheduler": 10259}
        if component not in ports:
            return True  # the answer to the kubelet's own requests says more
        try:
            async with asyncio.timeout(1):
                _, writer = await asyncio.open_connection(self.record.address, ports[component])
        except (OSError, TimeoutError):
            return False
        writer.close()
        return True

    def _prepare_kwok(self) -> None:
        place = self._kwok_place()
        authority = pki.self_signed(self.record.node, [self.record.address, self.server.fixed_ip])
        authority.write(self.disk.path(kwok.SERVING))
        kwok.write_config(self.disk, place, dt.datetime.now(dt.UTC), control_plane=self.record.control_plane)

    def _kwok_place(self) -> Place:
        port = json.loads(self.disk.path(REGISTRATION).read_text())["port"]
        return Place(self.record.node, self.record.address, self.server.fixed_ip, port)

    def _kwok_arguments(self) -> list[str]:
        return kwok.arguments(self.disk, self._kwok_place())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            LOG.error("%s: the machine crashed", self.server.name, exc_info=error)

    def _close(self) -> None:
        if self._egress:
            self._egress.stop()
            self._egress = None
        if self._api:
            asyncio.get_running_loop().create_task(self._api.close())
            self._api = None


ETCD_ANNOTATION = "kubeadm.kubernetes.io/etcd.advertise-client-urls"
KUBELET_DEFAULTS = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}


async def _etcd_endpoints(api: Api) -> tuple[str, ...]:
    """Client URLs of the cluster's etcd members, from their static Pods, as kubeadm finds them."""
    listed = await api.get("/api/v1/namespaces/kube-system/pods", labelSelector="component=etcd,tier=control-plane")
    urls = [p["metadata"].get("annotations", {}).get(ETCD_ANNOTATION) for p in listed["items"]]
    if not (found := tuple(u for u in urls if u)):
        raise EtcdError("no static Pod of etcd says where it listens")
    return found


def _stage(error: Exception) -> str:
    return "cloud-init" if isinstance(error, cloudinit.UserDataError) else "kubeadm"
