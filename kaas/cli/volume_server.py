"""`python -m kaas.cli.volume_server`: what `kaas volumes webhook` becomes when its options are read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kaas.admission import access
from kaas.cli.exits import ExitCode
from kaas.runtime import logs
from kaas.volumes.webhook import process


def main(text: str) -> int:
    """Serve until SIGTERM; returns the exit code. text: options as JSON."""
    given = json.loads(text)
    logs.configure(given.pop("log_format"), given.pop("log_level"))
    kubeconfig, names = given.pop("kubeconfig"), given.pop("names")
    options = process.Options(kubeconfig=Path(kubeconfig) if kubeconfig else None, names=tuple(names), **given)
    try:
        process.run(options)
    except (access.AccessError, OSError) as error:
        sys.stderr.write(f"kaas: {error}\n")
        return ExitCode.NO_ANSWER
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
