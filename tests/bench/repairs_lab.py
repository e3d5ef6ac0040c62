"""Sick nodes on the lab: from the fault to the first step, and from a reboot to a node that is well."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from kaas_lab import lab
from kaas_lab.machines import faults
from kaas_lab.machines.faults import Fault
from kaas_lab.openstack import connect, load

from kaas.api.constants import ANNOTATION_HISTORY
from tests.bench.bench import Bench
from tests.bench.controllers import until
from tests.bench.figures import Figure, Limit
from tests.e2e.hospital import METAL, NAME, OURS, VM, Hospital, cluster
from tests.e2e.platform import CRDS, Object, platform

FIRST_ACTION = Limit(10.0)  # seconds beyond the tolerance time
REBOOT_HEALS = Limit(60.0)


def run(bench: Bench) -> Sequence[Figure]:
    """One fault after the other, each healed before the next."""
    directory = bench.directory("repairs")
    with platform(directory, lab.Options(crds=CRDS)) as found:
        found.kaas("apply", "-f", found.examples / "releases.yaml", "-f", found.examples / "site-lab.yaml")
        found.apply(VM, METAL, cluster())
        until("Ready", lambda: found.phase(NAME) == "Ready")
        kubeconfig = directory / "heal.kubeconfig"
        kubeconfig.write_text(found.kaas("kubeconfig", NAME).stdout)
        hospital = Hospital(found, kubeconfig, connect(load(found.layout, "lab"), "admin"))
        hospital.is_well_again()
        (box,) = hospital.nodes("dgx")
        figures: list[Figure] = []
        for what, fault, tolerated, limit in (
            ("dead kubelet", Fault("kubelet", hospital.node, until="reboot"), "NodeSilent", REBOOT_HEALS),
            ("kernel deadlock", Fault("condition", hospital.node, "KernelDeadlock", until="reboot"), "", REBOOT_HEALS),
            ("XID 79", faults.xid(box, 79, until="power-cycle"), "", None),
        ):
            bench.say(what)
            figures += _heal(
                hospital, what, fault, _tolerance(METAL if limit is None else VM, tolerated or fault.condition), limit
            )
        return figures


def _heal(hospital: Hospital, what: str, fault: Fault, tolerance: float, limit: Limit | None) -> list[Figure]:
    """Have one machine fall ill and be healed. Times are those of the objects, to the second."""
    hospital.break_(fault)
    until("the repair has begun", lambda: hospital.repair(fault.target).get("findings"))
    repair = hospital.repair(fault.target)
    since = min(datetime.fromisoformat(f["since"]) for f in repair["findings"])
    began = datetime.fromisoformat(repair["began"])
    hospital.is_well_again()
    last = _history(hospital, fault.target)[-1]
    healed = (datetime.fromisoformat(last["ended"]) - datetime.fromisoformat(last["began"])).total_seconds()
    late = (began - since).total_seconds() - tolerance
    return [
        Figure(f"{what}: first step, beyond the tolerance time", late, "s", FIRST_ACTION, "from the condition's time"),
        Figure(f"{what}: {last['action']} to a node that is well", healed, "s", limit, "and 3 s to be sure"),
    ]


def _tolerance(template: Object, signal: str) -> float:
    told = {s["name"]: s["toleranceSeconds"] for s in template["spec"]["template"]["spec"]["signals"]}
    return float(told[signal if signal in told else "GpuFault"])


def _history(hospital: Hospital, node: str) -> list[Object]:
    (machine,) = (m for m in hospital.platform.items(OURS) if m["status"].get("nodeRef", {}).get("name") == node)
    found: list[Object] = json.loads(machine["metadata"]["annotations"][ANNOTATION_HISTORY])
    return found
