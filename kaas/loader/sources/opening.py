"""A source of each kind, by its address. Libraries of a kind are imported when one is opened."""

from __future__ import annotations

from typing import Protocol

from kaas.loader.address import Address, Scheme
from kaas.loader.source import Refused, Source
from kaas.loader.sources.access import Access


class _Closed(Source, Protocol):
    async def open(self) -> None:
        """Get ready to be asked. SourceError when it may not be, or nobody knows as whom."""


async def open_source(address: Address, access: Access) -> Source:
    """The source, ready to be asked; who has it closes it. SourceError when it may not be asked, or not as anybody."""
    try:
        source = _made(address, access)
    except ModuleNotFoundError as error:
        raise Refused(f"{address}: {error.name} is not installed: install kaas[loader]") from error
    try:
        await source.open()
    except BaseException:
        await source.close()
        raise
    return source


def _made(address: Address, access: Access) -> _Closed:
    if address.scheme is Scheme.S3:
        from kaas.loader.sources.s3 import S3Source  # noqa: PLC0415

        return S3Source(address, access)
    if address.scheme is Scheme.GCS:
        from kaas.loader.sources.gcs import GCSSource  # noqa: PLC0415

        return GCSSource(address, access)
    if address.scheme is Scheme.HF:
        from kaas.loader.sources.hf import HFSource  # noqa: PLC0415

        return HFSource(address, access)
    from kaas.loader.sources.http import HTTPSource  # noqa: PLC0415

    return HTTPSource(address, access)
