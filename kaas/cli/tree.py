"""One Cluster as a tree for people: control plane and pools, their Machines, their servers."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from kaas.api.constants import CONDITION_UPDATES
from kaas.cli import update_lines
from kaas.cli.view import ClusterView, ConditionView, GroupView, MachineView, Mark, ServerView

MARKS = update_lines.SIGNS
STATUS_MARKS = {"True": Mark.WELL, "False": Mark.SICK, "Unknown": Mark.MOVING}


def tree(cluster: ClusterView, *, brief: bool = False) -> RenderableType:
    """The tree; `brief` leaves out conditions that hold or that the title quotes, plan, endpoint and kubeconfig."""
    root = Tree(_title(cluster))
    if cluster.infrastructure_why:
        root.add(_marked(Mark.MOVING, "infrastructure", "bold").append(f"  {cluster.infrastructure_why}", "yellow"))
    for group in cluster.groups:
        _add_group(root, group)
    rest = [] if brief else [*_plan(cluster), *_updates(cluster), *_access(cluster)]
    return Group(root, *_conditions(cluster, brief=brief), *rest)


def _marked(mark: Mark, text: str, style: str = "") -> Text:
    sign, color = MARKS[mark]
    return Text.assemble((sign, color), " ", (text, style))


def _title(cluster: ClusterView) -> Text:
    title = _marked(cluster.mark, f"{cluster.namespace}/{cluster.name}", "bold")
    title.append(f"  {cluster.phase}", MARKS[cluster.mark][1])
    title.append(f"  {cluster.version}  on {cluster.site}")
    if not cluster.current:
        title.append("  (a change has not been looked at yet)", "yellow")
    if cluster.why and cluster.mark is not Mark.WELL:
        title.append(f"\n  {cluster.why}", MARKS[cluster.mark][1])
    return title


def _add_group(root: Tree, group: GroupView) -> None:
    of = "" if group.desired is None else f"/{group.desired}"
    title = _marked(group.mark, group.name, "bold").append(f"  {group.ready}{of} ready")
    for fact in (group.flavor, group.gpu and f"GPUs {group.gpu}"):
        title.append(f"  {fact}", "dim") if fact else None
    branch = root.add(title)
    for machine in group.machines:
        _add_machine(branch, machine)


def _add_machine(branch: Tree, machine: MachineView) -> None:
    title = _marked(machine.mark, machine.name).append(f"  {machine.phase}")
    facts = (machine.version, machine.zone, f"{machine.gpus} GPUs" if machine.gpus else None)
    for fact in facts:
        title.append(f"  {fact}", "dim") if fact else None
    if machine.why:
        title.append(f"\n  {machine.why}", MARKS[machine.mark][1])
    leaf = branch.add(title)
    if machine.server:
        leaf.add(_server(machine.server))


def _server(server: ServerView) -> Text:
    mark = {"ACTIVE": Mark.WELL, "ERROR": Mark.SICK, "SHUTOFF": Mark.SICK}.get(server.state or "", Mark.MOVING)
    text = _marked(mark, "server")
    return text.append(f"  {server.state or 'unknown'}  {server.id or ''}".rstrip(), "dim")


def _conditions(cluster: ClusterView, *, brief: bool) -> list[Text]:
    shown = [c for c in cluster.conditions if not brief or _adds(c, cluster)]
    lines = [Text("conditions", "bold")] if shown else []
    for item in shown:
        mark = _condition_mark(item, cluster)
        line = Text("  ").append_text(_marked(mark, item.type))
        reason = item.reason if item.reason != item.type else ""
        words = "  ".join(filter(None, (reason, item.message)))
        lines.append(line.append(f"  {words}", "dim") if words else line)
    return lines


def _adds(item: ConditionView, cluster: ClusterView) -> bool:
    """Whether a condition does not hold, and says more than the title does."""
    said = " ".join(item.message.split())
    return item.status != "True" and item.type != "Ready" and said not in (cluster.why or "")


def _condition_mark(item: ConditionView, cluster: ClusterView) -> Mark:
    """What does not hold yet in a Cluster on its way is no fault."""
    mark = STATUS_MARKS.get(item.status, Mark.MOVING)
    if item.type == CONDITION_UPDATES and mark is Mark.SICK:
        return Mark.MOVING  # an update that waits for its time
    return cluster.mark if mark is Mark.SICK and cluster.mark is not Mark.WELL else mark


def _plan(cluster: ClusterView) -> list[Text]:
    lines = [Text("next", "bold")] if cluster.plan else []
    for step in cluster.plan:
        line = Text(f"  {step.id}: {step.reason}")
        lines.append(line.append(f"  waits for: {step.waits_for}", "yellow") if step.waits_for else line)
    return lines


def _updates(cluster: ClusterView) -> list[Text]:
    return update_lines.lines(cluster.update) if cluster.update else []


def _access(cluster: ClusterView) -> list[Text]:
    lines = []
    if cluster.endpoint:
        lines.append(Text.assemble(("endpoint", "bold"), f"  {cluster.endpoint}"))
    if cluster.kubeconfig_secret:
        command = f"kaas kubeconfig {cluster.name} -n {cluster.namespace}"
        lines.append(Text.assemble(("kubeconfig", "bold"), f"  Secret {cluster.kubeconfig_secret}  (`{command}`)"))
    return lines
