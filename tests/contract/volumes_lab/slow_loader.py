"""A loader that says how far it is, and ends when there is a file `go-on` in its volume."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from kaas.loader.report import Phase, Progress, Reason, Result

TOTAL = 1 << 30
PATIENCE = 300.0  # seconds


def main(go_on: Path, log: Path) -> None:
    """Speak as the job contract says."""
    end = time.monotonic() + PATIENCE
    while not go_on.exists() and time.monotonic() < end:
        progress = Progress(Phase.LOADING, TOTAL * 43 // 100, 812, TOTAL, 1893, 100.0 * (1 << 20), 6.0)
        print(progress.line(), flush=True)
        time.sleep(0.2)
    result = Result(Reason.LOADED, "", TOTAL, 1893, seconds=10.0, verified={"crc32c": 1893})
    log.write_text(result.text())


if __name__ == "__main__":
    _, directory = sys.argv[2:4]
    main(Path(directory, "go-on"), Path(sys.argv[sys.argv.index("--termination-log") + 1]))
