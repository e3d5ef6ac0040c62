"""Which tests go one after the other when they are run side by side: those that share a lab."""

from __future__ import annotations

from pathlib import Path

import pytest

_LABS = ("contract", "e2e")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put all tests of a folder with labs into one group, for `--dist loadgroup`."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    here = Path(__file__).parent
    for item in items:
        folder = item.path.relative_to(here).parts[0]
        if folder in _LABS:
            item.add_marker(pytest.mark.xdist_group(folder))
