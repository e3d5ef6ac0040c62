"""Whether an endpoint may be asked at all, and the guard that connections to it go through."""

from __future__ import annotations

from typing import Final

from kaas.loader.source import Refused
from kaas.loader.sources.guard import Guard
from kaas.loader.sources.policy import Policy, address_of

_NO_KEY: Final = 407
"""What the guard answers to who does not know its key: obstore shows it to the first server of a request only."""
_SENT_ON: Final = "is sent to another server without TLS, which is not followed: name that one as the endpoint"


class Door:
    """The way out of one source. proxy: URL for a library to connect through, None when it may connect by itself."""

    def __init__(self, policy: Policy | None) -> None:
        self._policy = policy
        self._guard: Guard | None = None
        self.proxy: str | None = None

    async def let(self, scheme: str, host: str) -> None:
        """Have an endpoint be asked, also one after another; Refused when its name alone says that it may not."""
        if self._policy is None or self._policy.trusts(host):
            return
        if refusal := self._policy.refusal(scheme, host):
            raise Refused(f"endpoint {scheme}://{host}: {refusal}")
        if not self._policy.of_cloud(host) and self._guard is None:
            self._guard = Guard(self._policy)
            self.proxy = await self._guard.start()

    @staticmethod
    def is_plain(host: str) -> bool:
        """Whether what follows no redirect may connect to a host that was let by itself, beside the proxy.

        An address may: the one that was looked at is the one that is connected to.
        """
        return address_of(host) is not None

    def refusal(self, status: int) -> str:
        """What the guard did not let through; "" when it has let all through. status: of HTTP, which was answered."""
        if self._guard is None:
            return ""
        return next(iter(self._guard.refused.values()), _SENT_ON if status == _NO_KEY else "")

    async def close(self) -> None:
        """End the connections that go through it."""
        if self._guard is not None:
            await self._guard.close()
