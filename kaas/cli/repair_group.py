"""Groups in which a command need not be named: `kaas repair NODE` is `kaas repair node NODE`."""

from __future__ import annotations

from typing import Any, ClassVar

from typer.core import TyperGroup

_HELP = ("-h", "--help")


class RepairGroup(TyperGroup):
    """Shared options may stand before the command's name or the node's, as they may for `kaas` itself."""

    default: ClassVar[str] = "node"
    """The command that is meant when none is named."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command first: the one that is named, else the default one."""
        if args and args[0] not in _HELP:
            place = _first_word(args, self._with_values(ctx))
            named = place is not None and args[place] in self.commands
            args = (
                [args[place], *args[:place], *args[place + 1 :]]
                if named and place is not None
                else [self.default, *args]
            )
        return super().parse_args(ctx, args)

    def _with_values(self, ctx: Any) -> frozenset[str]:
        """Options of the commands that take a value, so that it is not taken for a name."""
        every = [p for name in self.commands for p in self.commands[name].get_params(ctx)]
        return frozenset(o for p in every if not getattr(p, "is_flag", True) for o in p.opts)


class AddonsGroup(RepairGroup):
    """`kaas addons`, with options or without, lists them all."""

    default = "list"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Without any word, too."""
        return super().parse_args(ctx, args or [self.default])


def _first_word(args: list[str], with_values: frozenset[str]) -> int | None:
    """Index of the first argument that is neither an option nor the value of one."""
    value = False
    for index, word in enumerate(args):
        if not value and not word.startswith("-"):
            return index
        value = not value and word in with_values
    return None
