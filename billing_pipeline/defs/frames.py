"""The store of frames: one Parquet file per asset and month, on any fsspec URL. No Dagster, no rules."""

import io
import uuid

import fsspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from billing_pipeline.problems import PipelineError


class FrameMissing(PipelineError):
    """A frame that an earlier asset makes is not there: that asset has not been materialized for the month."""


class FrameStoreUnavailable(PipelineError):
    """The store cannot be written or read."""


class FrameStore:
    """Frames by asset and month. A frame comes back with the Arrow types with which it went in."""

    def __init__(self, url: str) -> None:
        self._filesystem, self.root = fsspec.core.url_to_fs(url)

    def path(self, asset: str, month: str) -> str:
        """Where the frame of an asset and month lies."""
        return f"{self.root}/frames/{asset}/{month}.parquet"

    def write(self, asset: str, month: str, frame: pd.DataFrame) -> int:
        """Replaces the frame as a whole, so that a reader sees the old one or the new one. Returns its bytes."""
        buffer = io.BytesIO()
        pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), buffer, compression="zstd")
        path = self.path(asset, month)
        unfinished = f"{path}.{uuid.uuid4().hex}.tmp"
        self._filesystem.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        self._filesystem.pipe_file(unfinished, buffer.getvalue())
        self._filesystem.mv(unfinished, path)
        return buffer.tell()

    def has(self, asset: str, month: str) -> bool:
        """Whether there is a frame of that asset and month. Raises: FrameStoreUnavailable."""
        try:
            return bool(self._filesystem.exists(self.path(asset, month)))
        except OSError as error:
            raise FrameStoreUnavailable(
                f"BILLING_STORE_URL {self.root} cannot be read: {error.strerror or error}; check it"
            ) from error

    def read(self, asset: str, month: str) -> pd.DataFrame:
        """The frame of an asset and month.

        Raises: FrameMissing, naming the asset to materialize.
        """
        try:
            data = self._filesystem.cat_file(self.path(asset, month))
        except FileNotFoundError:
            raise FrameMissing(
                f"{asset} has no data for {month}: materialize {asset} for {month} first, "
                f"or run `billing-pipeline run {month}`"
            ) from None
        frame: pd.DataFrame = pq.read_table(io.BytesIO(data)).to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def try_out(self) -> None:
        """Writes, reads back and removes a file of its own. Raises: FrameStoreUnavailable."""
        path = f"{self.root}/frames/.doctor.{uuid.uuid4().hex}.tmp"
        try:
            self._filesystem.makedirs(f"{self.root}/frames", exist_ok=True)
            self._filesystem.pipe_file(path, b"doctor")
            intact = self._filesystem.cat_file(path) == b"doctor"
            self._filesystem.rm_file(path)
        except OSError as error:
            raise FrameStoreUnavailable(
                f"BILLING_STORE_URL {self.root} cannot be written: {error.strerror or error}; check it"
            ) from error
        if not intact:
            raise FrameStoreUnavailable(
                f"BILLING_STORE_URL {self.root}: what was written is not what is read back"
            )
