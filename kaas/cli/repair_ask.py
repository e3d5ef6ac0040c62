"""`kaas repair NODE` and `kaas repair release NODE`: a person asks, the controller does."""

from __future__ import annotations

from datetime import UTC, datetime

from kaas.api.constants import ANNOTATION_RELEASED, ANNOTATION_REPAIR, ANNOTATION_REPAIR_REASON, LABEL_POOL
from kaas.api.node_repair_template import template_name
from kaas.api.repair import Action, Mode
from kaas.cli import repair_nodes
from kaas.cli.exits import CliError, ExitCode
from kaas.cli.output import console, emit
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Settings
from kaas.cli.status import lean
from kaas.kube import resources
from kaas.kube.objects import Object, Ref, is_deleting, labels, ref_of
from kaas.kube.resources import CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL
from kaas.kube.times import stamp


def ask(settings: Settings, name: str, step: Action | None, reason: str) -> None:
    """Have a node repaired, from `step` on. CliError when there is no such node, or its ladder has no such step."""
    run(_ask(settings, name, step, reason))


async def _ask(settings: Settings, name: str, step: Action | None, reason: str) -> None:
    async with session(settings) as connected:
        machine = await repair_nodes.find(connected, name)
        if is_deleting(machine):
            raise CliError(f"{ref_of(machine)} is being deleted: there is nothing left to repair")
        template = await _template(connected, machine)
        if template and step:
            has_step(machine, template, step)
        notes = {ANNOTATION_REPAIR: str(step or ""), ANNOTATION_REPAIR_REASON: reason or None}
        patched = await connected.client.patch(ref_of(machine), {"metadata": {"annotations": notes}})
    begin = f", beginning with {step}" if step else ""
    _tell(settings, patched, f"repair asked for{begin}{_unless(template)}")


async def _template(connected: Session, machine: Object) -> Object | None:
    """The template of the machine's pool; None before the controller has made it."""
    pool = "" if CONTROL_PLANE_LABEL in labels(machine) else labels(machine).get(LABEL_POOL, "")
    name = template_name(labels(machine).get(CLUSTER_NAME_LABEL, ""), pool)
    kind = resources.NODE_REPAIR_TEMPLATE
    return await connected.client.get(Ref(kind.api_version, kind.kind, connected.namespace, name))


def has_step(machine: Object, template: Object, step: Action) -> None:
    """CliError when the ladder of a machine's pool has no such step."""
    steps = [s["action"] for s in template["spec"]["template"]["spec"]["steps"]]
    if step not in steps:
        words = f"--step: the ladder of {ref_of(machine)} has no step {step}; choose one of {', '.join(steps)}"
        raise CliError(words, ExitCode.WRONG_INPUT)


def _unless(template: Object | None) -> str:
    mode = template["spec"]["template"]["spec"].get("mode") if template else None
    return (
        f" (nothing will be done: repairs of its pool are in mode {mode})" if mode not in (None, Mode.AUTOMATIC) else ""
    )


def release(settings: Settings, name: str, reason: str) -> None:
    """Let a node out of quarantine. CliError when it is not in it."""
    run(_release(settings, name, reason))


async def _release(settings: Settings, name: str, reason: str) -> None:
    async with session(settings) as connected:
        machine = await repair_nodes.find(connected, name)
        kind = resources.NODE_REPAIR
        repair = Ref(kind.api_version, kind.kind, connected.namespace, machine["metadata"]["name"])
        if "quarantined" not in ((await connected.client.get(repair) or {}).get("status") or {}):
            raise CliError(f"{ref_of(machine)} is not in quarantine; see `kaas repair status {name}`")
        value = " ".join(filter(None, (stamp(datetime.now(UTC)), reason)))
        notes = {"metadata": {"annotations": {ANNOTATION_RELEASED: value}}}
        patched = await connected.client.patch(ref_of(machine), notes)
    _tell(settings, patched, "is let out of quarantine")


def _tell(settings: Settings, machine: Object, what: str) -> None:
    if settings.output is not None:
        emit(lean(machine), settings.output)
        return
    name, namespace = machine["metadata"]["name"], machine["metadata"]["namespace"]
    words = f"Machine {namespace}/{name}: {what}; see `kaas repair status {name} -n {namespace}`"
    console(settings).print(words, markup=False)
