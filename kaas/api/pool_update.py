"""How the machines of a pool are replaced by an update: what a node pool says of it."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar, Final

from pydantic import Field

from kaas.api.model import Model
from kaas.api.repair import NumberOrPercent
from kaas.api.rules import Rule


class Strategy(StrEnum):
    """In which way the machines of a pool are replaced."""

    SURGE = "Surge"
    NO_SURGE = "NoSurge"
    BLUE_GREEN = "BlueGreen"
    MANUAL = "Manual"


def is_zero(value: int | str | None) -> bool:
    """Whether a number or percentage says none at all; False when it is left out."""
    return value in (0, "0%")


def _zero(field: str) -> str:
    return f"has(self.{field}) && (self.{field} == 0 || self.{field} == '0%')"


def _strategy(name: str) -> str:
    return f"has(self.strategy) && self.strategy == '{name}'"


_COUNTS: Final = ("maxSurge", "maxUnavailable")


def _counts_have_a_strategy(update: dict[str, Any]) -> bool:
    return not any(c in update for c in _COUNTS) or update.get("strategy", Strategy.BLUE_GREEN) != Strategy.BLUE_GREEN


def _no_surge_is_none(update: dict[str, Any]) -> bool:
    return update.get("strategy") != Strategy.NO_SURGE or "maxSurge" not in update or is_zero(update["maxSurge"])


def _surge_is_some(update: dict[str, Any]) -> bool:
    return update.get("strategy") != Strategy.SURGE or not is_zero(update.get("maxSurge"))


def _something_moves(update: dict[str, Any]) -> bool:
    surges = update.get("strategy") == Strategy.SURGE or ("maxSurge" in update and not is_zero(update["maxSurge"]))
    may_lean = "maxSurge" not in update and update.get("strategy") == Strategy.MANUAL
    return surges or may_lean or not is_zero(update.get("maxUnavailable"))


class PoolUpdate(Model):
    """How the machines of a pool are replaced."""

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(!has(self.maxSurge) && !has(self.maxUnavailable)) || "
            "(has(self.strategy) && self.strategy != 'BlueGreen')",
            message="update: maxSurge and maxUnavailable go with a strategy that replaces a few machines at a time: "
            "set strategy to Surge, NoSurge or Manual, or leave them out",
            check=_counts_have_a_strategy,
        ),
        Rule(
            cel=f"!({_strategy('NoSurge')}) || !has(self.maxSurge) || ({_zero('maxSurge')})",
            message="update.maxSurge: NoSurge makes no machine beside those there are: leave maxSurge out, or set "
            "strategy to Surge",
            check=_no_surge_is_none,
            field=".maxSurge",
        ),
        Rule(
            cel=f"!({_strategy('Surge')}) || !({_zero('maxSurge')})",
            message="update.maxSurge: Surge needs at least 1, for the new machine comes first: set 1 or more, or set "
            "strategy to NoSurge",
            check=_surge_is_some,
            field=".maxSurge",
        ),
        Rule(
            cel=f"!({_zero('maxUnavailable')}) || {_strategy('Surge')} || "
            f"(has(self.maxSurge) ? !({_zero('maxSurge')}) : {_strategy('Manual')})",
            message="update.maxUnavailable: without a surge at least one machine has to go before another one comes: "
            "set 1 or more, or strategy Surge",
            check=_something_moves,
            field=".maxUnavailable",
        ),
        Rule(
            cel=f"!has(self.soakSeconds) || ({_strategy('BlueGreen')})",
            message="update.soakSeconds goes with strategy BlueGreen alone: set that, or leave it out",
            check=lambda u: "soakSeconds" not in u or u.get("strategy") == Strategy.BLUE_GREEN,
            field=".soakSeconds",
        ),
    )
    strategy: Strategy | None = None
    """Surge: a new machine comes before an old one goes. NoSurge: an old one goes first. BlueGreen: all new ones come
    beside the old ones, which go after a soak. Manual: only when a person says so. Left out: NoSurge for pools with
    GPUs, which have no spare, Surge for others."""
    order: int = Field(default=0, ge=-100, le=100)
    """Pools with a lower number are updated first; those with the same in the order of the spec."""
    max_surge: NumberOrPercent | None = None
    """Machines that there may be beyond `replicas` while others are replaced, in each zone of the pool; a percentage
    is rounded up. Left out: 1 for Surge, none for NoSurge, either for Manual as for a pool that says nothing."""
    max_unavailable: NumberOrPercent | None = None
    """Machines that may be missing while they are replaced, in each zone of the pool; a percentage is rounded down, to
    at least one where nothing may surge. Left out: none for Surge, 1 for NoSurge."""
    soak_seconds: int | None = Field(default=None, ge=0, le=604800)
    """BlueGreen: seconds that all new machines have to be well together before an old one goes. Left out: 600."""
    drain_timeout_seconds: int | None = Field(default=None, ge=0, le=604800)
    """Seconds that a node which is to go waits for its pods to end; 0 waits for ever. Left out:
    `gpu.drainTimeoutSeconds` for pools with GPUs, 600 for others."""
    notice: bool | None = None
    """Whether pods of a node that is to go are told beforehand, and jobs are waited for before they are evicted. Left
    out: for pools with GPUs."""


SOAK_SECONDS: Final = 600


def soak_of(update: PoolUpdate) -> int:
    """Seconds that all new machines of a BlueGreen pool have to be well together."""
    return SOAK_SECONDS if update.soak_seconds is None else update.soak_seconds


def gives_notice(update: PoolUpdate, *, gpus: bool) -> bool:
    """Whether pods are told before their node is drained. gpus: whether the nodes of the pool have any."""
    return gpus if update.notice is None else update.notice


def waits_before_drain(update: PoolUpdate, *, gpus: bool) -> bool:
    """Whether a machine that is to go waits until kaas has it drained."""
    return gives_notice(update, gpus=gpus) or update.strategy is Strategy.BLUE_GREEN
