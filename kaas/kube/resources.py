"""The kinds that the program reads or writes as data: their group, the version written, plural and scope."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kaas.api.constants import GROUP, VERSION


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it. `group` is empty for the core group."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, or the version alone in the core group."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def group_kind(self) -> tuple[str, str]:
        """What identifies a kind whatever its version."""
        return self.group, self.kind

    @property
    def root(self) -> str:
        """Path of the group and version, for example `/apis/apps/v1`."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None) -> str:
        """Path of the collection (`name` None) or of one object; a namespace of None means all namespaces."""
        parts = [self.root]
        if self.namespaced and namespace:
            parts += ["namespaces", namespace]
        parts.append(self.plural)
        if name:
            parts.append(name)
        return "/".join(parts)

    def at(self, version: str) -> Resource:
        """Same kind in another version."""
        return replace(self, version=version)

    def __str__(self) -> str:
        return f"{self.plural}.{self.group}/{self.version}" if self.group else self.plural


CORE = "cluster.x-k8s.io"
CLUSTER_NAME_LABEL = f"{CORE}/cluster-name"
"""On everything that Cluster API and its providers make of a Cluster."""
CONTROL_PLANE_LABEL = f"{CORE}/control-plane"
"""On Machines of a control plane."""
DEPLOYMENT_NAME_LABEL = f"{CORE}/deployment-name"
"""On Machines of a MachineDeployment."""
TOPOLOGY_DEPLOYMENT_LABEL = f"topology.{CORE}/deployment-name"
"""Name of a MachineDeployment in its Cluster's topology, on it and on its Machines."""
REMEDIATE_ANNOTATION = f"{CORE}/remediate-machine"
"""Makes MachineHealthCheck find a Machine unhealthy: put on by us for what it cannot see itself."""
SKIP_REMEDIATION_ANNOTATION = f"{CORE}/skip-remediation"
"""Makes MachineHealthCheck leave a Machine alone: put on by us for what a person has in hand."""
DRAIN_HOOK = f"pre-drain.delete.hook.machine.{CORE}/kaas"
"""Annotation of a Machine: Cluster API does not drain it, once it is deleted, before this is taken away."""
PAUSED_ANNOTATION = f"{CORE}/paused"
"""Makes Cluster API leave an object alone."""
DEFER_UPGRADE = f"topology.{CORE}/defer-upgrade"
"""On a MachineDeployment in a topology: Cluster API leaves it at the version that it has."""
CONTROL_PLANE = "controlplane.cluster.x-k8s.io"
BOOTSTRAP = "bootstrap.cluster.x-k8s.io"
INFRASTRUCTURE = "infrastructure.cluster.x-k8s.io"

CLUSTER = Resource(GROUP, VERSION, "Cluster", "clusters")
SITE = Resource(GROUP, VERSION, "Site", "sites", namespaced=False)
RELEASE = Resource(GROUP, VERSION, "Release", "releases", namespaced=False)
ROLLOUT = Resource(GROUP, VERSION, "Rollout", "rollouts", namespaced=False)
ADDON = Resource(GROUP, VERSION, "Addon", "addons", namespaced=False)
NODE_REPAIR_TEMPLATE = Resource(GROUP, VERSION, "NodeRepairTemplate", "noderepairtemplates")
NODE_REPAIR = Resource(GROUP, VERSION, "NodeRepair", "noderepairs")

CAPI_CLUSTER = Resource(CORE, "v1beta2", "Cluster", "clusters")
CLUSTER_CLASS = Resource(CORE, "v1beta2", "ClusterClass", "clusterclasses")
MACHINE = Resource(CORE, "v1beta2", "Machine", "machines")
MACHINE_DEPLOYMENT = Resource(CORE, "v1beta2", "MachineDeployment", "machinedeployments")
MACHINE_SET = Resource(CORE, "v1beta2", "MachineSet", "machinesets")
MACHINE_HEALTH_CHECK = Resource(CORE, "v1beta2", "MachineHealthCheck", "machinehealthchecks")

KUBEADM_CONTROL_PLANE = Resource(CONTROL_PLANE, "v1beta2", "KubeadmControlPlane", "kubeadmcontrolplanes")
KUBEADM_CONTROL_PLANE_TEMPLATE = Resource(
    CONTROL_PLANE, "v1beta2", "KubeadmControlPlaneTemplate", "kubeadmcontrolplanetemplates"
)
KUBEADM_CONFIG = Resource(BOOTSTRAP, "v1beta2", "KubeadmConfig", "kubeadmconfigs")
KUBEADM_CONFIG_TEMPLATE = Resource(BOOTSTRAP, "v1beta2", "KubeadmConfigTemplate", "kubeadmconfigtemplates")

OPENSTACK_CLUSTER = Resource(INFRASTRUCTURE, "v1beta1", "OpenStackCluster", "openstackclusters")
OPENSTACK_CLUSTER_TEMPLATE = Resource(
    INFRASTRUCTURE, "v1beta1", "OpenStackClusterTemplate", "openstackclustertemplates"
)
OPENSTACK_MACHINE = Resource(INFRASTRUCTURE, "v1beta1", "OpenStackMachine", "openstackmachines")
OPENSTACK_MACHINE_TEMPLATE = Resource(
    INFRASTRUCTURE, "v1beta1", "OpenStackMachineTemplate", "openstackmachinetemplates"
)
OPENSTACK_SERVER = Resource(INFRASTRUCTURE, "v1alpha1", "OpenStackServer", "openstackservers")
OPENSTACK_CLUSTER_IDENTITY = Resource(
    INFRASTRUCTURE, "v1alpha1", "OpenStackClusterIdentity", "openstackclusteridentities", namespaced=False
)

DEV_CLUSTER = Resource(INFRASTRUCTURE, "v1beta2", "DevCluster", "devclusters")
DEV_CLUSTER_TEMPLATE = Resource(INFRASTRUCTURE, "v1beta2", "DevClusterTemplate", "devclustertemplates")
DEV_MACHINE = Resource(INFRASTRUCTURE, "v1beta2", "DevMachine", "devmachines")
DEV_MACHINE_TEMPLATE = Resource(INFRASTRUCTURE, "v1beta2", "DevMachineTemplate", "devmachinetemplates")

SECRET = Resource("", "v1", "Secret", "secrets")
CONFIG_MAP = Resource("", "v1", "ConfigMap", "configmaps")
NAMESPACE = Resource("", "v1", "Namespace", "namespaces", namespaced=False)
NODE = Resource("", "v1", "Node", "nodes", namespaced=False)
POD = Resource("", "v1", "Pod", "pods")
EVENT = Resource("", "v1", "Event", "events")
DEPLOYMENT = Resource("apps", "v1", "Deployment", "deployments")
STATEFUL_SET = Resource("apps", "v1", "StatefulSet", "statefulsets")
DAEMON_SET = Resource("apps", "v1", "DaemonSet", "daemonsets")
JOB = Resource("batch", "v1", "Job", "jobs")
CRON_JOB = Resource("batch", "v1", "CronJob", "cronjobs")
PERSISTENT_VOLUME_CLAIM = Resource("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
PERSISTENT_VOLUME = Resource("", "v1", "PersistentVolume", "persistentvolumes", namespaced=False)
STORAGE_CLASS = Resource("storage.k8s.io", "v1", "StorageClass", "storageclasses", namespaced=False)
NETWORK_POLICY = Resource("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies")
LEASE = Resource("coordination.k8s.io", "v1", "Lease", "leases")
CUSTOM_RESOURCE_DEFINITION = Resource(
    "apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions", namespaced=False
)

KNOWN: dict[tuple[str, str], Resource] = {r.group_kind: r for r in list(globals().values()) if isinstance(r, Resource)}
"""Every kind above by group and kind."""


def find(api_version: str, kind: str) -> Resource | None:
    """Kind in the version asked for, or None when it is not in the table."""
    group, _, version = api_version.rpartition("/")
    known = KNOWN.get((group, kind))
    return known.at(version) if known else None
