"""Programs of the loader's benchmark that are Python: `kaas` and `boto3`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path


def kaas(url: str, source: str, to: str) -> None:
    """Load as the command does: all is compared with the best sum that the store has."""
    import asyncio  # noqa: PLC0415 - each program imports only what it uses, and that is measured

    from kaas.loader.address import parse  # noqa: PLC0415
    from kaas.loader.run import load  # noqa: PLC0415
    from kaas.loader.sources.access import Access  # noqa: PLC0415
    from kaas.loader.sources.opening import open_source  # noqa: PLC0415

    async def all_of_it() -> None:
        opened = await open_source(parse(source), Access(endpoint=url, region="us-east-1"))
        try:
            result = await load(opened, Path(to))
        finally:
            await opened.close()
        if result.reason != "Loaded":
            sys.exit(result.message)

    asyncio.run(all_of_it())


def boto3(url: str, source: str, to: str) -> None:
    """Load with the transfer manager, sixteen files at once."""
    import boto3 as library  # noqa: PLC0415
    from boto3.s3.transfer import TransferConfig  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from s3transfer.manager import TransferManager  # noqa: PLC0415

    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    config = Config(max_pool_connections=32, s3={"addressing_style": "path"})
    client = library.client("s3", endpoint_url=url, config=config)
    with TransferManager(client, TransferConfig(max_concurrency=16)) as manager:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page["Contents"]]
        for future in [manager.download(bucket, key, f"{to}/{key.rpartition('/')[2]}") for key in keys]:
            future.result()


PROGRAMS: dict[str, Callable[[str, str, str], None]] = {"kaas": kaas, "boto3": boto3}

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](*sys.argv[2:])
