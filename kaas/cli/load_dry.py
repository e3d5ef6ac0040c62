"""`kaas load --dry-run`: what would be loaded, what is there already, and whether it fits. Nothing is written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from kaas.cli.load_request import Request
from kaas.cli.load_view import size
from kaas.cli.output import console
from kaas.cli.settings import Settings
from kaas.loader import container, paths
from kaas.loader.listing import Offer
from kaas.loader.report import Exit
from kaas.loader.source import Entry, Source
from kaas.loader.space import Need, Space, freed

OWN: Final = (paths.JOURNAL, "lost+found")
"""Directories that are not of the source, at the top: the loader's and the file system's."""
SHOWN: Final = 20
"""Names that people are shown."""


@dataclass(slots=True)
class Preview:
    """What a load would find. there: files of the right size that are there; names: some of those to be loaded.

    needed: bytes of room for them, less than they have when they replace others. deleted: files that would be; None
    when none is to be. free: bytes of the file system. wrong: keys that are no path below the destination.
    """

    source: str
    files: int = 0
    bytes: int = 0
    needed: int = 0
    there: int = 0
    there_bytes: int = 0
    left_out: int = 0
    deleted: int | None = None
    free: int = 0
    names: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def fits(self) -> bool:
        """Whether there is space for what would be loaded, by the load's own measure."""
        return Space(self.free, None).fits(self.needed, 0)

    def take(self, entry: Entry, request: Request, need: Need) -> None:
        """Count an object of the listing."""
        if not (request.options.takes(entry.name) and request.options.shard.owns(entry.name)):
            self.left_out += 1
            return
        try:
            path = request.destination / paths.relative(entry.name)
        except paths.Unsafe as error:
            self.wrong.append(str(error))
            return
        if entry.name.endswith("/"):
            return
        found = _look(path)
        if found is not None and found.st_size == entry.size:
            self.there, self.there_bytes = self.there + 1, self.there_bytes + entry.size
            return
        self.files, self.bytes = self.files + 1, self.bytes + entry.size
        need.add(entry.size, freed(found))
        self.needed = need.bytes
        if len(self.names) < SHOWN:
            self.names.append(entry.name)


def _look(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(path)
    except OSError:
        return None


async def preview(settings: Settings, source: Source, request: Request, *, lines: bool) -> int:
    """Show it; the exit code: 64 when it could not be loaded as it is. Fault when patterns leave nothing of it."""
    found = Preview(source.label, free=shutil.disk_usage(_existing(request.destination)).free)
    kept: set[str] = set()
    offer = Offer()
    need = Need((request.options.limits or container.limits()).streams)
    async for page in source.pages():
        for entry in page:
            offer.add(entry, taken=request.options.takes(entry.name))
            found.take(entry, request, need)
            kept.add(entry.name)
    offer.check()
    if request.options.delete:
        found.deleted = sum(1 for name in _files(request.destination) if _unwanted(name, kept, request))
    if lines:
        print(json.dumps({"preview": asdict(found) | {"fits": found.fits}}, separators=(",", ":"), ensure_ascii=False))
    else:
        _show(settings, found, request)
    return Exit.PERMANENT if found.wrong or not found.fits else Exit.DONE


def _files(folder: Path) -> Iterator[str]:
    """Names of all files below a directory, but for the loader's own."""
    for path, _, names in os.walk(folder):
        below = os.path.relpath(path, folder)
        if below.split("/")[0] not in OWN:
            yield from (name if below == "." else f"{below}/{name}" for name in names)


def _unwanted(name: str, kept: set[str], request: Request) -> bool:
    return name not in kept and request.options.takes(name) and request.options.shard.owns(name)


def _existing(path: Path) -> Path:
    """A directory or the nearest above it that is there."""
    return next(p for p in (path.absolute(), *path.absolute().parents) if p.exists())


def _show(settings: Settings, found: Preview, request: Request) -> None:
    screen = console(settings)
    for name in found.names:
        screen.print(f"  {name}", markup=False)
    if found.files > len(found.names):
        screen.print(f"  and {found.files - len(found.names):,} more", markup=False)
    screen.print(
        f"would load {found.files:,} files, {size(found.bytes)} of {found.source} into {request.destination}; "
        f"{found.there:,} of the right size are there already ({size(found.there_bytes)})"
        + (f"; {found.left_out:,} are left out" if found.left_out else "")
        + (f"; would delete {found.deleted:,}" if found.deleted is not None else ""),
        markup=False,
    )
    if not found.fits:
        screen.print(f"it does not fit: {size(found.free)} are free, and 5 % beside are needed", markup=False)
    for wrong in found.wrong[:SHOWN]:
        screen.print(wrong, markup=False)
