"""Entry point of `kaas` and `kubectl-kaas`. `kaas load`, which every volume's Job starts, imports no other command."""

from __future__ import annotations

import gc
import sys


def main() -> None:
    """Run the command that is named."""
    if sys.argv[1:2] == ["load"]:
        gc.disable()  # until its source is open: what is imported stays, and looking through it is a tenth of the start
        from kaas.cli.load import app  # noqa: PLC0415 - slow to import
    else:
        from kaas.cli.main import app  # noqa: PLC0415
    app()
