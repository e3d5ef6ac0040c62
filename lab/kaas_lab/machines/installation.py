"""The first boot of a machine: cloud-init writes the files of its user data and runs kubeadm, as far as that comes."""

from __future__ import annotations

import asyncio
import contextlib

from kaas_lab import processes

from . import bootstrap, cloudinit, controlplane, kubeadm, pki
from .api import Api, ApiError, open_kubeconfig
from .controlplane import Place
from .etcdmembers import Etcd, EtcdError, initial_cluster
from .host import ADMIN, ETCD_ANNOTATION, KUBELET_CONFIG, SUPER_ADMIN, Host
from .kubeadm import ClusterConfiguration, Configuration, Discovery

READY_SECONDS = 240.0  # kubeadm's ControlPlaneComponentHealthCheckTimeout
POLL_SECONDS = 0.2
LOG_LINES = 5
KUBELET_DEFAULTS = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
ETCD_PODS = "/api/v1/namespaces/kube-system/pods"
# Everything because of which a machine never joins; the message goes to its console.
FAILURES = (
    cloudinit.UserDataError,
    kubeadm.KubeadmError,
    pki.CertificateError,
    bootstrap.JoinRefused,
    processes.ProcessFailed,
    EtcdError,
    ApiError,
)


async def install(host: Host) -> None:
    """Set a machine up on an empty disk. Raises one of FAILURES."""
    instance = cloudinit.metadata(host.server.id, host.server.hostname, host.server.zone, host.server.project)
    config = cloudinit.parse(host.server.user_data, instance)
    command = cloudinit.kubeadm_command(config)
    for file in config.files:
        host.disk.write(file)
    host.say(f"cloud-init: wrote {len(config.files)} files, runs kubeadm {command.verb}")
    text, name = host.read(command.config), str(instance["local_hostname"])
    host.version()
    if command.verb == "init":
        await _init(host, kubeadm.parse_init(text, name))
    else:
        await _join(host, kubeadm.parse_join(text, name))
    host.say(f"kubeadm {command.verb} is done, the kubelet starts as {host.record.node}")


async def _init(host: Host, configuration: Configuration) -> None:
    cluster = configuration.cluster
    if cluster is None:
        raise kubeadm.KubeadmError("no ClusterConfiguration")
    kubeadm.check_version(cluster, host.version())
    place = host.place(configuration)
    host.remember(configuration, cluster, place)
    host.remember_authority(cluster)
    await asyncio.to_thread(_prepare_control_plane, host, cluster, place)
    await asyncio.to_thread(controlplane.write_kubelet_kubeconfig, host.disk, cluster, place)
    host.manifest("etcd", controlplane.etcd_arguments(host.disk, cluster, place, ""))
    await _start_control_plane(host, cluster, place)
    async with open_kubeconfig(host.disk.path(SUPER_ADMIN)) as api:
        await bootstrap.allow_administrators(api)
        ca = host.disk.path(f"{cluster.certificates}/ca.crt").read_bytes()
        kubelet = configuration.documents.get("KubeletConfiguration", KUBELET_DEFAULTS)
        await bootstrap.leave_behind(api, cluster, ca, dict(kubelet))
        await _register(host, api)


async def _join(host: Host, configuration: Configuration) -> None:
    discovery = configuration.discovery
    if discovery is None:
        raise kubeadm.KubeadmError("no discovery")
    ca = await bootstrap.discover(discovery, host.say)
    cluster = await bootstrap.cluster_configuration(discovery, ca, host.say)
    place = host.place(configuration)
    host.remember(configuration, cluster, place)
    if configuration.control_plane:
        await asyncio.to_thread(_prepare_control_plane, host, cluster, place)
    else:
        pki.write_secret(host.disk.path(f"{cluster.certificates}/ca.crt"), ca)
    host.remember_authority(cluster)
    await _bootstrap_kubelet(host, configuration, discovery, ca)
    if configuration.control_plane:
        await _join_control_plane(host, cluster, place)


async def _bootstrap_kubelet(host: Host, configuration: Configuration, discovery: Discovery, ca: bytes) -> None:
    """A control-plane machine's kubelet talks to its own API server, a worker's to the cluster's end point."""
    place = host.place(configuration)
    server = place.server if configuration.control_plane else f"https://{discovery.endpoint}"
    content = await bootstrap.bootstrap_kubelet(discovery, ca, place.node, server, host.say)
    pki.write_secret(host.disk.path(KUBELET_CONFIG), content.encode())


async def _join_control_plane(host: Host, cluster: ClusterConfiguration, place: Place) -> None:
    async with open_kubeconfig(host.disk.path(ADMIN)) as admin:
        base = host.disk.path(f"{cluster.certificates}/etcd")
        endpoints = await _etcd_endpoints(admin)
        etcd = Etcd(endpoints, base / "ca.crt", base / "healthcheck-client.crt", base / "healthcheck-client.key")
        await _join_etcd(host, etcd, cluster, place)
        await _start_control_plane(host, cluster, place)
        await _register(host, admin)


async def _join_etcd(host: Host, etcd: Etcd, cluster: ClusterConfiguration, place: Place) -> None:
    for member in await etcd.members():
        if place.etcd_peer in member.peer_urls:  # of an attempt that was cut short
            await etcd.remove(member.id)
    members = await etcd.add_learner(place.etcd_peer)
    mine = next(m for m in members if place.etcd_peer in m.peer_urls)
    known = initial_cluster(members, place.node, place.etcd_peer)
    host.manifest("etcd", controlplane.etcd_arguments(host.disk, cluster, place, known))
    host.start_components()
    await etcd.promote(mine.id)


async def _etcd_endpoints(api: Api) -> tuple[str, ...]:
    """Client URLs of the cluster's etcd members, from their static Pods, as kubeadm finds them."""
    listed = await api.get(ETCD_PODS, labelSelector="component=etcd,tier=control-plane")
    urls = [p["metadata"].get("annotations", {}).get(ETCD_ANNOTATION) for p in listed["items"]]
    if not (found := tuple(u for u in urls if u)):
        raise EtcdError("no static Pod of etcd says where it listens")
    return found


def _prepare_control_plane(host: Host, cluster: ClusterConfiguration, place: Place) -> None:
    controlplane.issue_certificates(host.disk, cluster, place)
    controlplane.write_kubeconfigs(host.disk, cluster, place)
    controlplane.write_egress(host.disk)


async def _start_control_plane(host: Host, cluster: ClusterConfiguration, place: Place) -> None:
    """Start what has a manifest, then the API server, and when that is ready the other two."""
    await host.start_egress()
    host.manifest("kube-apiserver", controlplane.api_server_arguments(host.disk, cluster, place))
    host.start_components()
    await _wait_ready(host, place)
    host.manifest("kube-controller-manager", controlplane.controller_manager_arguments(host.disk, cluster, place))
    host.manifest("kube-scheduler", controlplane.scheduler_arguments(host.disk, cluster, place))
    host.start_components()


async def _wait_ready(host: Host, place: Place) -> None:
    end = asyncio.get_running_loop().time() + READY_SECONDS
    async with open_kubeconfig(host.disk.path(SUPER_ADMIN)) as api:
        while asyncio.get_running_loop().time() < end:
            _check_alive(host)
            with contextlib.suppress(ApiError):
                if await api.text("/readyz") == "ok":
                    return
            await asyncio.sleep(POLL_SECONDS)
    raise processes.ProcessFailed(f"the API server at {place.server} is not healthy after {READY_SECONDS:.0f} s")


def _check_alive(host: Host) -> None:
    for component in ("etcd", "kube-apiserver"):
        if not host.is_alive(component):
            raise processes.ProcessFailed(
                f"{component} has ended: {processes.tail(host.disk.logs(component), LOG_LINES)}"
            )


async def _register(host: Host, api: Api) -> None:
    """Run a kubelet until the Node is there, then mark it; the lasting kubelet starts afterwards."""
    kubelet = host.kubelet(starting=True)
    task = asyncio.create_task(kubelet.run())
    try:
        async with asyncio.timeout(READY_SECONDS):
            await kubelet.registered.wait()
        await bootstrap.mark_control_plane(api, host.record.node)
    except TimeoutError as error:
        raise bootstrap.JoinRefused(f"the kubelet did not register in {READY_SECONDS:.0f} s") from error
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
