"""A question to the metrics of a Site, with the Secret that its spec names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from kaas.api.site import SiteMetrics
from kaas.kube.errors import KubeError
from kaas.updates.verify.promql import QueryFailed, query

ReadSecret = Callable[[str, str], Awaitable[Mapping[str, bytes] | None]]
"""Data of a Secret of the management cluster, by namespace and name; None when it is not there."""


async def answer(metrics: SiteMetrics, expression: str, seconds: float, read_secret: ReadSecret) -> float | None:
    """Value of a PromQL expression now; None when it has no data. QueryFailed in any other case."""
    token, authority = await _secret(metrics, read_secret)
    return await query(metrics.url, expression, seconds, token=token, authority=authority)


async def _secret(metrics: SiteMetrics, read_secret: ReadSecret) -> tuple[str, str]:
    """Token and authority; each empty when there is none."""
    if metrics.secret is None:
        return "", ""
    called = f"{metrics.secret.namespace}/{metrics.secret.name}"
    try:
        found = await read_secret(metrics.secret.namespace, metrics.secret.name)
    except KubeError as failure:
        raise QueryFailed(f"Secret {called} of the metrics could not be read: {failure}") from failure
    if found is None:
        raise QueryFailed(f"there is no Secret {called}: make it, or correct spec.metrics.secret of the Site")
    token, authority = found.get("token", b""), found.get("ca.crt", b"")
    return token.decode(errors="replace").strip(), authority.decode(errors="replace")
