"""`make bench`: measures, and prints each figure beside its limit; exit code 1 when one is missed."""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from rich.console import Console

from tests.bench import machine
from tests.bench.bench import Bench
from tests.bench.catalogue import BENCHMARKS
from tests.bench.figures import Figure, Result, as_json, table

progress = Console(stderr=True, highlight=False)


def main(argv: Sequence[str]) -> int:
    """Measure what is asked for; returns the exit code."""
    options = _parser().parse_args(argv)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # ends labs as Ctrl-C does
    described = machine.describe()
    progress.print(machine.header(described))
    if warning := machine.warning(described["load"]):
        progress.print(f"[yellow]warning: {warning}[/yellow]")
    results = measure(options.only or list(BENCHMARKS), quick=options.quick)
    if options.output == "json":
        found = {"machine": described, "quick": options.quick, "results": as_json(results)}
        sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    else:
        Console(highlight=False).print(table(results))
    return int(any(r.missed for r in results) and not options.no_fail)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    names = ", ".join(BENCHMARKS)
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help=f"any of {names}")
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that the benchmarks work")
    parser.add_argument("-o", "--output", choices=["table", "json"], default="table")
    parser.add_argument("--no-fail", action="store_true", help="exit code 0 whatever is missed")
    return parser


def measure(names: Iterable[str], *, quick: bool) -> list[Result]:
    """Run benchmarks one after the other; one that fails is a result too."""
    state = Path(tempfile.mkdtemp(prefix="kaas-bench-"))
    try:
        return [_measured(name, BENCHMARKS[name], quick=quick, state=state) for name in names]
    finally:
        shutil.rmtree(state, ignore_errors=True)


def _measured(name: str, run: Callable[[Bench], Sequence[Figure]], *, quick: bool, state: Path) -> Result:
    start = time.monotonic()

    def say(text: str) -> None:
        progress.print(f"{time.monotonic() - start:7.1f} s  {name}: {text}", markup=False)

    say("starts")
    try:
        figures = run(Bench(quick, state / name, say))
    except Exception as failure:
        progress.print(traceback.format_exc(), markup=False)
        return Result(name, time.monotonic() - start, error=f"{type(failure).__name__}: {failure}"[:500])
    say("done")
    return Result(name, time.monotonic() - start, figures)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
