"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# Machines are shared: how long an example takes says nothing of the code.
settings.register_profile("kaas", deadline=None)
settings.load_profile("kaas")
