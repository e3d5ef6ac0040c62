"""What is said of the checks before an update."""

from __future__ import annotations

from kaas.api.model import Model


class PreflightPolicy(Model):
    """Which findings of the checks before an update are put up with."""
