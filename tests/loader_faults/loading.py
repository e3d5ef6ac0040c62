"""Loads from the store that misbehaves, by the source that S3 has."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kaas.loader.address import parse
from kaas.loader.crew import Crew
from kaas.loader.options import Limits, Options, Patience
from kaas.loader.report import Result
from kaas.loader.run import load
from kaas.loader.sources.access import Access
from kaas.loader.sources.opening import open_source
from tests.loader_faults.server import Store
from tests.memory import most_memory

MIB = 2**20
RANGE = MIB
STREAMS = 8
LIMITS = Limits(memory=20 * MIB, cpus=0.5)
"""Ranges of one MiB, eight requests at once."""
QUICK = Patience(stall=2, slowest=1e9, silence=60, tries=6, backoff=0.01, ceiling=0.1, checkpoint=0.2)


async def load_from(
    url: str,
    to: Path,
    address: str = "s3://bucket/",
    crew: Crew | None = None,
    stop: asyncio.Event | None = None,
    **options: object,
) -> Result:
    """Load it to its end."""
    wanted = Options(**{"limits": LIMITS, "patience": QUICK, **options})  # type: ignore[arg-type]
    source = await open_source(parse(address), Access(endpoint=url, region="us-east-1", anonymous=True))
    try:
        return await load(source, to, wanted, crew=crew, stop=stop)
    finally:
        await source.close()


def in_a_process(url: str, to: str, options: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Load, and end as the outcome says: the body of a process that may be killed. With `crew`, by so many others."""
    crew = Crew.gather(options.get("crew", 0))
    result = asyncio.run(load_from(url, Path(to), **(dict(options) | {"crew": crew})))
    os._exit(0 if result.reason == "Loaded" else 1)


def measured_in_a_process(url: str, to: str, found: Any, options: Mapping[str, Any] = MappingProxyType({})) -> None:
    """Load, and put the reason and the most memory that was used: the body of a process that does nothing else."""
    result = asyncio.run(load_from(url, Path(to), **options))
    found.put((str(result.reason), most_memory()))


def differing(store: Store, path: Path) -> list[str]:
    """Names that are not in a directory as they are in the store, or are there and should not be."""
    found = {str(p.relative_to(path)) for p in path.rglob("*") if p.is_file() and ".kaas-load" not in p.parts}
    wanted = {key for key in store.objects if not key.endswith("/")}
    same = (name for name in found & wanted if _same(store, name, path / name))
    return sorted((found | wanted) - set(same))


def _same(store: Store, key: str, path: Path) -> bool:
    blob = store.objects[key]
    if path.stat().st_size != blob.size:
        return False
    with path.open("rb") as file:
        return all(file.read(MIB) == blob.read(at, min(MIB, blob.size - at)) for at in range(0, blob.size, MIB))
