"""The process of the volume webhook: its names and its Service."""

from __future__ import annotations

from dataclasses import dataclass, field

from kaas.admission import access, process
from kaas.admission.certificates import Lives
from kaas.admission.keeper import POLL, Keeping
from kaas.admission.process import Place, Service
from kaas.volumes.cache.cradle import SnapshotCradle
from kaas.volumes.webhook.metrics import Metrics
from kaas.volumes.webhook.reviews import webhooks

NAMESPACE = "kaas-volumes"
CONFIGURATION = "kaas-volumes"
"""Name of the webhook configuration."""
SECRET = "kaas-volumes-tls"  # noqa: S105 - a name
SERVICE = "kaas-volumes"


@dataclass(frozen=True, kw_only=True)
class Options(Place):
    """How the webhook runs. names: that API servers call it by; none means its Service.

    cache_share: whether claims are born of other namespaces' snapshots of public sources.
    """

    namespace: str = ""
    names: tuple[str, ...] = ()
    cache_share: bool = True
    poll: float = POLL
    lives: Lives = field(default_factory=Lives)

    def keeping(self) -> Keeping:
        """Whose certificates are kept."""
        namespace = self.namespace or access.own_namespace(NAMESPACE)
        names = self.names or (f"{SERVICE}.{namespace}.svc",)
        kinds = ("mutatingwebhookconfigurations",)
        return Keeping(namespace, names, SECRET, CONFIGURATION, self.lives, self.poll, kinds)


def run(options: Options) -> None:
    """Serve until SIGTERM or SIGINT. Raises AccessError, and OSError when a port is taken."""
    metrics, share = Metrics(), options.cache_share
    process.run(
        options,
        Service(lambda api: webhooks(api, metrics, SnapshotCradle(api, share=share)), metrics, options.keeping()),
    )
