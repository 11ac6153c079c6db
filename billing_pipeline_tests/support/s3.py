"""An S3 server on loopback (moto's), with one bucket, and the variables by which any client finds it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
import httpx
from moto.server import ThreadedMotoServer

BUCKET = "billing"


@dataclass(frozen=True)
class S3:
    """A running server: stop it, and the store is out of reach."""

    endpoint: str
    server: ThreadedMotoServer

    @property
    def environment(self) -> dict[str, str]:
        """What an S3 client is told by the environment; it retries once, so that a test of an outage is short."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def client(self) -> Any:
        """A client that shares no code with fsspec's."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def objects(self) -> list[str]:
        """The keys of all objects in the bucket."""
        pages = self.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
        return [found["Key"] for page in pages for found in page.get("Contents", ())]

    def buckets(self) -> list[str]:
        """The names of all buckets."""
        return [found["Name"] for found in self.client().list_buckets()["Buckets"]]


@contextmanager
def s3_server() -> Iterator[S3]:
    """Starts it, with an empty bucket; it ends with the block."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        s3 = S3(f"http://{host}:{port}", server)
        # The objects of all of moto's servers in one process are in one place.
        httpx.post(f"{s3.endpoint}/moto-api/reset", trust_env=False).raise_for_status()
        s3.client().create_bucket(Bucket=BUCKET)
        yield s3
    finally:
        server.stop()
