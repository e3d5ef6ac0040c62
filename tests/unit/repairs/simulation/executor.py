"""Carries out what is planned, as the controller does: written down first, then passes until it is done, or not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol

from kaas.api.repair import Action
from kaas.repairs import records
from kaas.repairs.actions import NEEDS_CLOUD, NEW_BOOT
from kaas.repairs.decisions import Act, Decision, Finish, Wait
from kaas.repairs.facts import Progress
from tests.unit.repairs.simulation.nodes import Node

BOOT = timedelta(seconds=60)
DRAIN = timedelta(seconds=30)
DELETION = timedelta(seconds=60)


class Surroundings(Protocol):
    """What acts depend on."""

    now: datetime
    cloud_down: set[str]


@dataclass
class Executor:
    """refusing: Sites whose Nova refuses. hanging: nodes whose acts never come to an end. stuck: no machine is deleted.

    dies: the controller is ended between writing a step down and its first pass.
    """

    refusing: set[str] = field(default_factory=set)
    hanging: set[str] = field(default_factory=set)
    stuck: bool = False
    dies: bool = False

    def carry(self, node: Node, decision: Decision, world: Surroundings) -> None:
        """What the controller does about one decision."""
        if isinstance(decision, Finish):
            self._finish(node, decision, world.now)
        elif isinstance(decision, Act):
            boot = f"boot-{node.boots}" if node.joined else ""
            node.progress = records.begun(node.progress, decision, world.now, boot)
            if not self.dies:
                self._pass(node, node.progress, world)
        elif isinstance(decision, Wait) and node.progress is not None and node.progress.acted is None:
            self._pass(node, node.progress, world)

    def _finish(self, node: Node, decision: Finish, now: datetime) -> None:
        if node.progress is not None:
            node.history = (*node.history, *records.over(node.progress, now, healed=decision.healed))[-10:]
        node.progress, node.handled, node.skip = None, None, False
        node.faults = [f for f in node.faults if not f.kind.asked]
        node.refresh(now)

    def _pass(self, node: Node, progress: Progress, world: Surroundings) -> None:
        """One pass of the act. What was begun since the step began is not begun again."""
        action = progress.action
        if progress.failed or action is None or node.name in self.hanging:
            return
        if action in NEEDS_CLOUD and node.site in world.cloud_down:
            return
        if action in NEW_BOOT and node.site in self.refusing:
            node.progress = replace(progress, failed="Nova: HTTP 409", not_before=world.now)
        elif self._done(node, progress, action, world.now):
            quarantined = world.now if action is Action.QUARANTINE else None
            node.progress = replace(progress, acted=world.now, quarantined=quarantined)

    def _done(self, node: Node, progress: Progress, action: Action, now: datetime) -> bool:
        if action is Action.DRAIN:
            return progress.started is not None and now - progress.started >= DRAIN
        if action in NEW_BOOT:
            return self._reboot(node, progress, action, now)
        if action is Action.REPLACE:
            node.gone_at = node.gone_at or (None if self.stuck else now + DELETION)
        elif action is Action.QUARANTINE:
            node.skip = True
        else:
            node.cure(action, now)
        return True

    def _reboot(self, node: Node, progress: Progress, action: Action, now: datetime) -> bool:
        if node.handled != progress.started:
            node.handled = progress.started
            node.boots += 1
            node.down_until = now + BOOT
            node.cure(action, now)
        return node.down_until is None
