"""The store of frames: Parquet files under the hash of their own bytes, on a folder or an object store.

A frame is written once and never replaced: whoever knows its hash has the same frame for good, whatever runs beside.
Which frames belong together is told by a billing of the ledger.
"""

from __future__ import annotations

import io
import uuid

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.problems import PipelineError
from billing_pipeline.store.blobs import sha256_of
from billing_pipeline.store.store_files import StoreError, StoreFiles


class FrameMissing(PipelineError):
    """A frame that an earlier step makes is not there: its asset has not been materialized for the month."""


class FrameStore:
    """Frames by asset, month and SHA-256. A frame comes back with the Arrow types with which it went in."""

    def __init__(self, url: str) -> None:
        self._files = StoreFiles(url)

    @property
    def root(self) -> str:
        """Where the store is, for people."""
        return self._files.url

    def write(self, asset: str, month: str, frame: pd.DataFrame) -> str:
        """Keep the frame and return the SHA-256 of its Parquet bytes. What is there already is left as it is.

        Raises: StoreError.
        """
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer, compression="zstd")
        data = buffer.getvalue()
        sha256 = sha256_of(data)
        path = _path(asset, month, sha256)
        if not self._files.has(path):
            self._files.write(path, data)
        return sha256

    def read(self, asset: str, month: str, sha256: str) -> pd.DataFrame:
        """The frame of that hash.

        Raises: FrameMissing, naming the asset to materialize; StoreError, also where its bytes are damaged.
        """
        path = _path(asset, month, sha256)
        try:
            data = self._files.read(path)
        except FileNotFoundError:
            raise FrameMissing(
                f"the store {self.root} has no {asset} of {month} with hash {sha256}: check BILLING_STORE_URL, or "
                f"run `billing-pipeline run {month}`, which makes it anew"
            ) from None
        if sha256_of(data) != sha256:
            raise StoreError(
                f"{self._files.place(path)} in the store is damaged; move it away and run "
                f"`billing-pipeline run {month}`, which makes it anew"
            )
        return _frame_of(data)

    def read_unversioned(self, asset: str, month: str) -> pd.DataFrame | None:
        """The one frame of asset and month that a release before 0.2 kept there, None where there is none.

        Raises: StoreError.
        """
        try:
            return _frame_of(self._files.read(f"frames/{asset}/{month}.parquet"))
        except FileNotFoundError:
            return None

    def try_out(self) -> None:
        """Writes, reads back and removes a file of its own. Raises: StoreError."""
        path = f"frames/.doctor.{uuid.uuid4().hex}.tmp"
        self._files.write(path, b"doctor")
        intact = self._files.read(path) == b"doctor"
        self._files.remove(path)
        if not intact:
            raise StoreError(f"BILLING_STORE_URL {self.root}: what was written is not what is read back")


def _frame_of(data: bytes) -> pd.DataFrame:
    # Not `pq.read_table`: it scans on threads of its own, which abort some processes at their exit
    # (apache/arrow#34314, #45017).
    table = pq.ParquetFile(io.BytesIO(data), pre_buffer=False).read(use_threads=False)
    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _path(asset: str, month: str, sha256: str) -> str:
    return f"frames/{asset}/{month}/{sha256}.parquet"
