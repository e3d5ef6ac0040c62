"""What kind of step each action is. Pure."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from kaas.api.repair import Action

RANK: Final = MappingProxyType({action: rank for rank, action in enumerate(Action)})
"""From the mildest to the hardest, as the API lists them."""

DISRUPTIVE: Final = frozenset(a for a in Action if RANK[a] >= RANK[Action.DRAIN])
"""Takes the node from its users, so it draws on the budgets."""

MENDING: Final = DISRUPTIVE - {Action.DRAIN}
"""Does something about the node itself: a drain only clears the way for it."""

REBOOTS: Final = frozenset({Action.SOFT_REBOOT, Action.HARD_REBOOT, Action.POWER_CYCLE})
"""Keeps the disk, and with it a member of etcd."""

NEW_BOOT: Final = REBOOTS | {Action.REBUILD}
"""Has worked only when the Node shows another boot ID. All of them need a server that is known."""

NEEDS_CLOUD: Final = NEW_BOOT | {Action.REPLACE}

TAKES_DOWN: Final = NEEDS_CLOUD
"""Nothing is heard of the node meanwhile."""

COMMITTED: Final = NEEDS_CLOUD | {Action.QUARANTINE}
"""Once begun it is brought to its end, also when nothing is wrong any more."""
