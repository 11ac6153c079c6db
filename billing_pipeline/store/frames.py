"""The store of frames: one Parquet file per asset and month, on a folder or an object store. No Dagster, no rules."""

import io
import uuid

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.problems import PipelineError
from billing_pipeline.store.store_files import StoreError, StoreFiles


class FrameMissing(PipelineError):
    """A frame that an earlier asset makes is not there: that asset has not been materialized for the month."""


class FrameStore:
    """Frames by asset and month. A frame comes back with the Arrow types with which it went in."""

    def __init__(self, url: str) -> None:
        self._files = StoreFiles(url)

    @property
    def root(self) -> str:
        """Where the store is, for people."""
        return self._files.url

    def write(self, asset: str, month: str, frame: pd.DataFrame) -> int:
        """Replaces the frame as a whole, so that a reader sees the old one or the new one. Returns its bytes.

        Raises: StoreError.
        """
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer, compression="zstd")
        self._files.write(_path(asset, month), buffer.getvalue())
        return buffer.tell()

    def has(self, asset: str, month: str) -> bool:
        """Whether there is a frame of that asset and month. Raises: StoreError."""
        return self._files.has(_path(asset, month))

    def read(self, asset: str, month: str) -> pd.DataFrame:
        """The frame of an asset and month.

        Raises: FrameMissing, naming the asset to materialize; StoreError.
        """
        try:
            data = self._files.read(_path(asset, month))
        except FileNotFoundError:
            raise FrameMissing(
                f"{asset} has no data for {month}: materialize {asset} for {month} first, "
                f"or run `billing-pipeline run {month}`"
            ) from None
        frame: pd.DataFrame = pq.read_table(io.BytesIO(data)).to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def try_out(self) -> None:
        """Writes, reads back and removes a file of its own. Raises: StoreError."""
        path = f"frames/.doctor.{uuid.uuid4().hex}.tmp"
        self._files.write(path, b"doctor")
        intact = self._files.read(path) == b"doctor"
        self._files.remove(path)
        if not intact:
            raise StoreError(f"BILLING_STORE_URL {self.root}: what was written is not what is read back")


def _path(asset: str, month: str) -> str:
    return f"frames/{asset}/{month}.parquet"
