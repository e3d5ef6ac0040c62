"""`python -m kaas.cli.credential_server`: what `kaas credential-webhook` becomes when its options are read."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from kaas.admission import access
from kaas.cli.credential_policy import policy
from kaas.cli.exits import CliError, ExitCode
from kaas.credentials.server import process
from kaas.runtime import logs


def main(text: str) -> int:
    """Serve until SIGTERM; returns the exit code. text: options as JSON."""
    given = json.loads(text)
    logs.configure(given.pop("log_format"), given.pop("log_level"))
    kubeconfig, names, decided = given.pop("kubeconfig"), given.pop("names"), policy(given.pop("policy"))
    options = process.Options(
        kubeconfig=Path(kubeconfig) if kubeconfig else None, names=tuple(names), policy=decided, **given
    )
    try:
        process.run(options)
    except (access.AccessError, CliError, OSError) as error:
        sys.stderr.write(f"kaas: {error}\n")
        return ExitCode.NO_ANSWER
    return ExitCode.DONE


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
