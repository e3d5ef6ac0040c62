"""The program of the loader's benchmark that has no command line of its own: boto3's transfer manager."""

from __future__ import annotations

import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from s3transfer.manager import TransferManager


def load(url: str, source: str, to: str) -> None:
    """Load a prefix, sixteen files at once."""
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    config = Config(max_pool_connections=32, s3={"addressing_style": "path"})
    client = boto3.client("s3", endpoint_url=url, config=config)
    with TransferManager(client, TransferConfig(max_concurrency=16)) as manager:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [item["Key"] for page in pages for item in page["Contents"]]
        for future in [manager.download(bucket, key, f"{to}/{key.rpartition('/')[2]}") for key in keys]:
            future.result()


if __name__ == "__main__":
    load(*sys.argv[1:])
