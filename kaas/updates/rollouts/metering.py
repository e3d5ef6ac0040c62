"""What gates ask of the metrics of Sites."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final

from kaas.api.site import Site, SiteMetrics
from kaas.updates.rollouts.scene import Answer, Ask
from kaas.updates.verify.promql import QueryFailed

FRESH: Final = timedelta(seconds=30)
"""For so long an answer counts: a Rollout is looked at whenever a Cluster changes."""

Query = Callable[[SiteMetrics, str], Awaitable[float | None]]
"""Value of a PromQL expression at a Site; None when it has no data. QueryFailed when there is no answer."""
FindSite = Callable[[str], Site | None]


class Meter:
    """Asks the metrics of Sites, and remembers the answers for a while. Never raises for one that does not answer."""

    def __init__(self, query: Query, find_site: FindSite) -> None:
        self._query, self._find_site = query, find_site
        self._known: dict[Ask, tuple[datetime, Answer]] = {}

    def fresh(self, now: datetime) -> Mapping[Ask, Answer]:
        """Answers that still count."""
        self._known = {ask: found for ask, found in self._known.items() if now - found[0] < FRESH}
        return {ask: answer for ask, (_, answer) in self._known.items()}

    async def ask(self, asks: Iterable[Ask], now: datetime) -> None:
        """Ask all at once."""
        several = sorted(set(asks), key=lambda a: (a.site, a.query))
        for ask, answer in zip(several, await asyncio.gather(*map(self._answer, several)), strict=True):
            self._known[ask] = (now, answer)

    async def _answer(self, ask: Ask) -> Answer:
        site = self._find_site(ask.site)
        if site is None:
            return Answer(None, f"there is no Site {ask.site}")
        if site.spec.metrics is None:
            return Answer(None, f"Site {ask.site} has no spec.metrics: set it")
        try:
            return Answer(await self._query(site.spec.metrics, ask.query))
        except QueryFailed as failure:
            return Answer(None, str(failure))
