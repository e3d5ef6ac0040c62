"""What the checks after a step are decided from. Plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kaas.api.update_status import Baseline
from kaas.gpu.layouts import NO_LAYOUT, Layout
from kaas.updates.verify.measuring import Measured


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """A Node. devices: GPUs or slices of them by resource: how many it has, and with how many it can be scheduled.

    layout: what its labels say of MIG.
    """

    name: str
    ready: bool
    version: str = ""
    devices: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    layout: Layout = NO_LAYOUT


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """A Machine of the step. pool: "" for the control plane. gpus: that its flavor has. node: None before it joined.

    version: what it was made with, in Cluster API's words. layout: what its pool asks for, "" for none. model: of its
    GPUs, as its Site calls them.
    """

    name: str
    pool: str
    gpus: int
    node: str | None
    version: str = ""
    layout: str = ""
    model: str = ""


@dataclass(frozen=True, slots=True)
class AddOnFacts:
    """What kaas has put into the Cluster. name: kind, namespace and name. problem: "" when it works.

    add_on: the add-on that it belongs to, "" for none.
    """

    name: str
    problem: str = ""
    add_on: str = ""


@dataclass(frozen=True, slots=True)
class Facts:
    """A Cluster after a step. version: what its machines are to run. before: None when that is not known.

    unwell: Pods in kube-system that do not work, by workload. measured: None until there is something to say.
    metered: whether its API servers count their requests; those of a simulation do not. brought: add-ons that are at
    the version to which the update brings them: they are to work whether they did before or not.
    """

    version: str
    machines: tuple[MachineFacts, ...]
    nodes: Mapping[str, NodeFacts]
    unwell: Mapping[str, int]
    add_ons: tuple[AddOnFacts, ...]
    measured: Measured | None
    before: Baseline | None
    metered: bool = True
    brought: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check found. message: what was looked at, or what is wrong with the way out.

    final: looking again would not change it. running: it ends by itself, well or final, however late it is.
    """

    check: str
    holds: bool
    message: str
    final: bool = False
    running: bool = False
