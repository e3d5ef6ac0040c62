"""Names for the shell's completion. Imported by every command, so what is slow is imported when Tab is pressed."""

from __future__ import annotations

from typing import Any

import typer

from kaas.cli.command import settings_of
from kaas.kube.errors import KubeError


def cluster_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Clusters whose names begin so; none when the API server does not answer: Tab is no place for errors."""
    from kaas.cli import names  # noqa: PLC0415 - slow to import

    given: dict[str, Any] = {k: v for k, v in ctx.params.items() if k in ("kubeconfig", "context", "namespace")}
    try:
        found = names.of_clusters(settings_of(ctx).overridden(given))
    except KubeError:
        return []
    return [name for name in found if name.startswith(incomplete)]
