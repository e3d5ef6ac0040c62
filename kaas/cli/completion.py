"""Names for the shell's completion. Imported by every command, so what is slow is imported when Tab is pressed."""

from __future__ import annotations

from collections.abc import Callable

import typer

from kaas.cli.exits import CliError
from kaas.cli.settings import SHARED, Settings
from kaas.kube.errors import KubeError


def cluster_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Clusters whose names begin so; none when the API server does not answer: Tab is no place for errors."""
    from kaas.cli import names  # noqa: PLC0415 - slow to import

    return _that_begin_so(names.of_clusters, ctx, incomplete)


def rollout_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Rollouts whose names begin so; none when the API server does not answer."""
    from kaas.cli import names  # noqa: PLC0415 - slow to import

    return _that_begin_so(names.of_rollouts, ctx, incomplete)


def addon_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Addons whose names begin so; none when the API server does not answer."""
    from kaas.cli import names  # noqa: PLC0415 - slow to import

    return _that_begin_so(names.of_addons, ctx, incomplete)


def _that_begin_so(known: Callable[[Settings], list[str]], ctx: typer.Context, incomplete: str) -> list[str]:
    settings = Settings()
    for params in (ctx.find_root().params, ctx.params):  # what is typed so far has not been through `callback`
        settings = settings.overridden({k: v for k, v in params.items() if k in SHARED})
    try:
        found = known(settings)
    except (KubeError, CliError):
        return []
    return [name for name in found if name.startswith(incomplete)]
