"""How long machines may take, where more than one feature counts on it."""

from __future__ import annotations

from typing import Final

SERVER_STARTUP: Final = 1800
BOX_STARTUP: Final = 3600
"""Seconds until a machine has joined: firmware and eight GPUs take their time to start."""
DRAIN: Final = 600
"""Seconds that the node of a machine is drained where its pool does not say: what the ClusterClass says."""
