"""What is said of the checks after each step of an update."""

from __future__ import annotations

from kaas.api.model import Model


class Verification(Model):
    """What must hold after the control plane and after each pool before an update goes on."""
