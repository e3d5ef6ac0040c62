"""`kaas crds`: the kinds of kaas for a management cluster."""

from __future__ import annotations

import sys

from kaas.api import crd
from kaas.cli import output
from kaas.cli.exits import CliError
from kaas.cli.session import Session, run, session
from kaas.cli.settings import Output, Settings
from kaas.kube.objects import Object, Ref, is_true, ref_of
from kaas.runtime.clock import SystemClock

SERVED_SECONDS = 30.0


def crds(settings: Settings, *, install: bool) -> None:
    """Print the CRDs, or install them and return when they are served."""
    found = crd.crds()
    if install:
        run(_install(settings, found))
    elif settings.output is Output.JSON:
        output.emit(output.as_list(found), Output.JSON)
    else:
        sys.stdout.write(output.documents(found))


async def _install(settings: Settings, found: list[Object]) -> None:
    async with session(settings) as connected:
        for obj in found:
            await connected.write(obj)
            await _served(connected, ref_of(obj))
            output.console(settings).print(f"{ref_of(obj)} installed", markup=False)


async def _served(connected: Session, ref: Ref) -> None:
    clock = SystemClock()
    end = clock.monotonic() + SERVED_SECONDS
    while not is_true(await connected.client.get(ref) or {}, "Established"):
        if clock.monotonic() > end:
            raise CliError(f"{ref} is not served after {SERVED_SECONDS:.0f} s: see its conditions with kubectl")
        await clock.sleep(0.1)
