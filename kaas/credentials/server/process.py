"""The process of the credential webhook: its names, its Services, its policy."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaas.admission import access, process
from kaas.admission.certificates import Lives
from kaas.admission.keeper import POLL, Keeping
from kaas.admission.process import Place, Service
from kaas.credentials.secrets.policy import DEFAULT, Policy
from kaas.credentials.server.lookups import Lookups
from kaas.credentials.server.metrics import Metrics
from kaas.credentials.server.reviews import webhooks

NAMESPACE = "kaas-credentials"
CONFIGURATION = "kaas-credentials"
"""Name of both webhook configurations."""
SECRET = "kaas-credentials-tls"  # noqa: S105 - a name
SERVICES = ("kaas-credentials", "kaas-credentials-a", "kaas-credentials-b")
"""Of all replicas, and of each half of them."""


@dataclass(frozen=True, kw_only=True)
class Options(Place):
    """How the webhook runs. names: that API servers call it by; none means its Services."""

    namespace: str = ""
    names: tuple[str, ...] = ()
    policy: Policy = DEFAULT
    poll: float = POLL
    lives: Lives = field(default_factory=Lives)

    def keeping(self) -> Keeping:
        """Whose certificates are kept."""
        namespace = self.namespace or access.own_namespace(NAMESPACE)
        names = self.names or tuple(f"{service}.{namespace}.svc" for service in SERVICES)
        return Keeping(namespace, names, SECRET, CONFIGURATION, self.lives, self.poll)


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises AccessError, and OSError when a port is taken."""
    metrics = Metrics()
    made = Service(lambda api: webhooks(Lookups(api), metrics, options.policy), metrics, options.keeping())
    process.run(options, made)
