"""A source of each kind, by its address. Libraries of a kind are imported when one is opened."""

from __future__ import annotations

from kaas.loader.address import Address, Scheme
from kaas.loader.source import Refused, Source
from kaas.loader.sources.access import Access


async def open_source(address: Address, access: Access) -> Source:
    """The source, ready to be asked; who has it closes it. SourceError when it may not be asked, or not as anybody."""
    try:
        return await _open(address, access)
    except ModuleNotFoundError as error:
        raise Refused(f"{address}: {error.name} is not installed: install kaas[loader]") from error


async def _open(address: Address, access: Access) -> Source:
    if address.scheme is Scheme.S3:
        from kaas.loader.sources.s3 import open_s3  # noqa: PLC0415

        return await open_s3(address, access)
    if address.scheme is Scheme.GCS:
        from kaas.loader.sources.gcs import open_gcs  # noqa: PLC0415

        return await open_gcs(address, access)
    if address.scheme is Scheme.HF:
        from kaas.loader.sources.hf import open_hf  # noqa: PLC0415

        return await open_hf(address, access)
    from kaas.loader.sources.http import open_http  # noqa: PLC0415

    return await open_http(address, access)
