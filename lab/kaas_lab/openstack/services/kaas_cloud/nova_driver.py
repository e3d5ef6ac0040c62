"""Nova virt driver: Nova's own fake one, with GPUs, console logs, a memory of its servers, and faults on demand."""

from __future__ import annotations

import json
import sys
import uuid
from pathlib import Path
from typing import Any, ClassVar

from nova import exception
from nova.compute import power_state, vm_states
from nova.virt import fake, hardware

from .faults import host_is_down, server_fault
from .place import Place

GPU_TRAIT = "CUSTOM_DGX_A100"
GPU_VENDOR, GPU_PRODUCT = "10de", "20b2"
KEPT_POWER = {
    vm_states.ACTIVE: power_state.RUNNING,
    vm_states.STOPPED: power_state.SHUTDOWN,
    vm_states.ERROR: power_state.RUNNING,
}


def use(site: Place) -> None:
    """Make `compute_driver = kaas_lab.LabDriver` find the driver: Nova looks below `nova.virt` only."""
    LabDriver.gpus = {name: int(host["gpus"]) for name, host in site.hosts.items()}
    LabDriver.consoles = site.state / "consoles"
    LabDriver.restarts = site.state / "restarts"
    sys.modules["nova.virt.kaas_lab"] = sys.modules[__name__]


def node_uuid(node: str) -> str:
    """The same in every process, where the fake driver invents new ones, with which nova-compute refuses to start."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{node}.kaas-lab.internal"))


class LabDriver(fake.FakeDriver):
    """One hypervisor: room for many servers, and on a DGX that many GPUs and its trait."""

    gpus: ClassVar[dict[str, int]] = {}
    consoles = Path("/nonexistent")
    restarts = Path("/nonexistent")

    vcpus = 2048
    memory_mb = 8 * 1024 * 1024
    local_gb = 1024 * 1024

    # -- the life of a server ---------------------------------------------------------------------------------------

    def _remember(self, instance: Any) -> None:
        """After a restart the in-memory inventory is empty: believe the database."""
        state = KEPT_POWER.get(instance.vm_state)
        if state is not None and instance.uuid not in self.instances:
            self.instances[instance.uuid] = fake.FakeInstance(instance.name, state, instance.uuid)
            flavor = instance.flavor
            self.resources.claim(vcpus=flavor.vcpus, mem=flavor.memory_mb, disk=flavor.root_gb)

    def get_info(self, instance: Any, use_cache: bool = True) -> hardware.InstanceInfo:
        """Power state."""
        self._remember(instance)
        return super().get_info(instance, use_cache=use_cache)

    def power_on(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Start, or fail as asked."""
        self._remember(instance)
        if reason := self._host_fault() or server_fault("start"):
            raise exception.InstancePowerOnFailure(reason=reason)
        super().power_on(context, instance, *args, **kwargs)

    def power_off(self, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Stop."""
        self._remember(instance)
        super().power_off(instance, *args, **kwargs)

    def spawn(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Build, or fail as asked: on the host, after scheduling."""
        if reason := server_fault("spawn"):
            raise exception.BuildAbortException(instance_uuid=instance.uuid, reason=reason)
        super().spawn(context, instance, *args, **kwargs)

    def reboot(
        self, context: Any, instance: Any, network_info: Any, reboot_type: str, *args: Any, **kwargs: Any
    ) -> None:
        """Reboot, or fail as asked.

        Then the server is left crashed, as when libvirt cannot start a domain again; or, when only one kind of reboot
        fails, it runs on and Nova calls it ACTIVE.
        """
        self._remember(instance)
        if reason := server_fault("reboot"):
            self.instances[instance.uuid].state = power_state.CRASHED
            self._note(instance, context.request_id, "CRASHED")  # Nova goes on to show the power state of before
            raise exception.InstanceRebootFailure(reason=reason)
        if reason := self._host_fault() or server_fault(f"{reboot_type.lower()}-reboot"):
            raise exception.InstanceRebootFailure(reason=reason)
        super().reboot(context, instance, network_info, reboot_type, *args, **kwargs)
        self._note(instance, context.request_id, reboot_type)

    def _note(self, instance: Any, request: str, kind: str) -> None:
        """Nova's list of actions does not tell how a server was rebooted, nor whether it was."""
        with (self.restarts / instance.uuid).open("a") as notes:
            notes.write(f"{request} {kind}\n")

    def _host_fault(self) -> str | None:
        return f"host {self._host} is down" if host_is_down(self._host or "") else None

    def destroy(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> None:
        """Delete, or fail as asked."""
        if reason := server_fault("delete"):
            raise exception.InstanceTerminationFailure(reason=reason)
        super().destroy(context, instance, *args, **kwargs)

    def get_console_output(self, context: Any, instance: Any) -> bytes:
        """What the machine wrote to its console; empty when it has written nothing."""
        log = self.consoles / f"{instance.uuid}.log"
        return log.read_bytes() if log.exists() else b""

    # -- what the host offers ---------------------------------------------------------------------------------------

    def _gpu_count(self) -> int:
        return self.gpus.get(self._host or "", 0)

    def get_nodenames_by_uuid(self, refresh: bool = False) -> dict[str, str]:
        """The hypervisor's nodes: one."""
        return {node_uuid(name): name for name in self.get_available_nodes()}

    def get_available_resource(self, nodename: str) -> Any:
        """Room, and PCI devices."""
        resources = super().get_available_resource(nodename)
        if resources:
            resources["uuid"] = node_uuid(nodename)
            if count := self._gpu_count():
                resources["pci_passthrough_devices"] = json.dumps([_gpu(n) for n in range(count)])
        return resources

    def update_provider_tree(self, provider_tree: Any, nodename: str, allocations: Any = None) -> None:
        """What Placement is told."""
        super().update_provider_tree(provider_tree, nodename, allocations=allocations)
        if self._gpu_count():
            provider_tree.add_traits(nodename, GPU_TRAIT)


def _gpu(number: int) -> dict[str, Any]:
    return {
        "address": f"0000:{0x10 + number:02x}:00.0",
        "dev_id": f"pci_0000_{0x10 + number:02x}_00_0",
        "label": f"label_{GPU_VENDOR}_{GPU_PRODUCT}",
        "vendor_id": GPU_VENDOR,
        "product_id": GPU_PRODUCT,
        "status": "available",
        "dev_type": "type-PCI",
        "parent_addr": None,
        "numa_node": None,
    }
