"""Whether an endpoint may be asked at all, and the guard that connections to it go through."""

from __future__ import annotations

from kaas.loader.source import Refused
from kaas.loader.sources.guard import Guard
from kaas.loader.sources.policy import Policy


class Door:
    """The way out of one source. proxy: URL for a library to connect through, None when it may connect by itself."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._guard: Guard | None = None
        self.proxy: str | None = None

    async def let(self, scheme: str, host: str) -> None:
        """Have an endpoint be asked; Refused when its name alone says that it may not."""
        if self._policy is None or self._policy.trusts(host):
            return
        if refusal := self._policy.refusal(scheme, host):
            raise Refused(f"endpoint {scheme}://{host}: {refusal}")
        if not self._policy.of_cloud(host) and scheme == "https":
            self._guard = Guard(self._policy)
            self.proxy = await self._guard.start()

    @property
    def refusal(self) -> str:
        """What the guard did not let through; "" when it has let all through."""
        return next(iter(self._guard.refused.values()), "") if self._guard else ""

    async def close(self) -> None:
        """End the connections that go through it."""
        if self._guard is not None:
            await self._guard.close()
