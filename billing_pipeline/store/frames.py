"""Frames of a month as files under the hash of their own bytes, on a folder or an object store.

A frame is written once and never replaced: whoever knows its hash has the same frame for good, whatever runs beside.
Which frames belong together is told by a billing of the ledger. What people are told row by row is JSON, for few rows
are not worth the loading of Parquet; the rest is Parquet.
"""

from __future__ import annotations

import io
import json
import uuid
from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from billing_pipeline.problems import PipelineError
from billing_pipeline.store.blobs import sha256_of
from billing_pipeline.store.store_files import StoredFile, StoreError, StoreFiles

# They take long to load, together seconds: `status` reads rows too, and answers at once.
if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    from billing_pipeline.billing.bill import BilledMonth
    from billing_pipeline.oms.extract import Extract


ROWS_PER_GROUP: Final = 8192
"""Rows that are read together: few, so that some customers' rows are found without reading the month's."""

REWRITTEN_AFTER: Final = timedelta(hours=12)
"""So old a frame is stored anew by who makes the same one, for `prune` spares what is younger than a day."""


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
        """Keep the frame and return the SHA-256 of its bytes. What was there lately is left as it is.

        Raises: StoreError.
        """
        data = (_json_of if asset in TOLD else _parquet_of)(frame)
        sha256 = sha256_of(data)
        path = _path(asset, month, sha256)
        if not self._is_fresh(path):
            self._files.write(path, data)
        return sha256

    def read(
        self,
        asset: str,
        month: str,
        sha256: str,
        customers: Collection[str] | None = None,
        columns: Sequence[str] | None = None,
    ) -> pd.DataFrame:
        """The frame of that hash, or these customers' rows of it, or of all rows those of these columns that it has.

        Raises: FrameMissing, naming the asset to materialize; StoreError, also where its bytes are damaged.
        """
        data = self._data(asset, month, sha256)
        return _frame_of(
            _table_of_json(data, customers) if asset in TOLD else _table_of(data, customers, columns)
        )

    def rows(self, asset: str, month: str, sha256: str) -> list[dict[str, Any]]:
        """The rows of the frame of that hash, one by one; of those that are `TOLD`. Raises: as `read`."""
        found: list[dict[str, Any]] = json.loads(self._data(asset, month, sha256))["rows"]
        return found

    def is_intact(self, asset: str, month: str, sha256: str) -> bool | None:
        """Whether the frame's bytes are those of its hash; None where it is not there. Raises: StoreError."""
        try:
            return sha256_of(self._files.read(_path(asset, month, sha256))) == sha256
        except FileNotFoundError:
            return None

    def place(self, asset: str, month: str, sha256: str) -> str:
        """Where the frame is, for people."""
        return self._files.place(_path(asset, month, sha256))

    def _data(self, asset: str, month: str, sha256: str) -> bytes:
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
        return data

    def _is_fresh(self, path: str) -> bool:
        """Whether it is there, and so new that `prune` leaves it alone until the ledger names it."""
        try:
            return self._files.modified(path) > datetime.now(UTC) - REWRITTEN_AFTER
        except FileNotFoundError:
            return False

    def read_unversioned(self, asset: str, month: str) -> pd.DataFrame | None:
        """The one frame of asset and month that a release before 0.2 kept there, None where there is none.

        Raises: StoreError.
        """
        try:
            return _frame_of(_table_of(self._files.read(f"frames/{asset}/{month}.parquet")))
        except FileNotFoundError:
            return None

    def stored(self, month: str, assets: Collection[str]) -> Iterator[tuple[StoredFile, tuple[str, str]]]:
        """The stored frames of these assets of a month: each file, with its asset and hash. Raises: StoreError."""
        for asset in sorted(assets):
            for file in self._files.list(f"frames/{asset}/{month}"):
                yield file, (asset, file.path.rpartition("/")[2].partition(".")[0])

    def stored_at(self, file: StoredFile) -> datetime:
        """When it was stored, or asked for by somebody who makes the same. Raises: FileNotFoundError; StoreError."""
        return self._files.modified(file.path)

    def remove(self, file: StoredFile) -> None:
        """The frame is gone. Raises: FileNotFoundError; StoreError."""
        self._files.remove(file.path)

    def try_out(self) -> None:
        """Writes, reads back and removes a file of its own. Raises: StoreError."""
        path = f"frames/.doctor.{uuid.uuid4().hex}.tmp"
        self._files.write(path, b"doctor")
        intact = self._files.read(path) == b"doctor"
        self._files.remove(path)
        if not intact:
            raise StoreError(f"BILLING_STORE_URL {self.root}: what was written is not what is read back")


def _frame_of(table: pa.Table) -> pd.DataFrame:
    import pandas as pd

    frame: pd.DataFrame = table.to_pandas(types_mapper=pd.ArrowDtype)
    return frame


def _json_of(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa

    table = pa.Table.from_pandas(frame, preserve_index=False)
    types = {field.name: str(field.type) for field in table.schema}
    return json.dumps({"types": types, "rows": table.to_pylist()}, ensure_ascii=False).encode()


def _table_of_json(data: bytes, customers: Collection[str] | None) -> pa.Table:
    import pyarrow as pa

    kept = json.loads(data)
    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in kept["types"].items()])
    rows = [row for row in kept["rows"] if customers is None or row["customer_number"] in customers]
    return pa.Table.from_pylist(rows, schema=schema)


def _parquet_of(frame: pd.DataFrame) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_pandas(frame, preserve_index=False)
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, table.schema, compression="zstd") as writer:
        # Each group in one chunk, so that the same rows are the same bytes, whatever chunks they came in.
        for begin in range(0, max(len(table), 1), ROWS_PER_GROUP):
            writer.write_table(
                table.slice(begin, ROWS_PER_GROUP).combine_chunks(), row_group_size=ROWS_PER_GROUP
            )
    return buffer.getvalue()


def _table_of(
    data: bytes, customers: Collection[str] | None = None, columns: Sequence[str] | None = None
) -> pa.Table:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    # Not `pq.read_table`: it scans on threads of its own, which abort some processes at their exit
    # (apache/arrow#34314, #45017).
    file = pq.ParquetFile(io.BytesIO(data), pre_buffer=False)
    if customers is None:
        return file.read(columns, use_threads=False)
    table = file.read_row_groups(_groups_with(file, customers), use_threads=False)
    return table.filter(pc.is_in(table["customer_number"], pa.array(list(customers), pa.string())))


def _groups_with(file: pq.ParquetFile, customers: Collection[str]) -> list[int]:
    """The row groups in which rows of these customers may be."""
    numbers = sorted(customers)
    column = file.schema_arrow.get_field_index("customer_number")

    def may_hold(group: int) -> bool:
        known = file.metadata.row_group(group).column(column).statistics
        if known is None or not known.has_min_max:
            return True
        first = bisect_left(numbers, known.min)
        return first < len(numbers) and numbers[first] <= known.max

    return [group for group in range(file.num_row_groups) if may_hold(group)]


def _path(asset: str, month: str, sha256: str) -> str:
    return f"frames/{asset}/{month}/{sha256}.{'json' if asset in TOLD else 'parquet'}"


CUSTOMERS = "oms_customers"
EXTRACTED: Mapping[str, str] = {
    CUSTOMERS: "customers",
    "oms_services": "services",
    "oms_service_tasks": "service_tasks",
    "oms_cancellation_fees": "cancellation_fees",
}
"""Asset → relation of the extract."""

LOOK_BACK = "oms_look_back"
"""How an extract looked back, beside its relations; releases before 0.2 read every row."""

ROSTER = "month_roster"
DRIFT = "month_drift"
STANDINGS = "row_standings"
TOTALS = "month_totals"
KEPT_BACK = "month_kept_back"
WARNINGS = "month_warnings"
TOLD = frozenset({DRIFT, KEPT_BACK, WARNINGS})
"""What `status` tells with each month, row by row: kept as JSON."""
_BILLED: Mapping[str, str] = {
    "invoice_lines": "lines",
    "billing_problems": "problems",
    TOTALS: "totals",
    ROSTER: "roster",
    DRIFT: "drift",
    STANDINGS: "standings",
    KEPT_BACK: "kept_back",
    WARNINGS: "warnings",
}

Hashes = Mapping[str, str]
"""Asset, or part of what was billed → SHA-256 of its frame."""


def write_extract(frames: FrameStore, month: str, extract: Extract) -> dict[str, str]:
    """Keeps an extract. Raises: StoreError."""
    return {
        asset: frames.write(asset, month, getattr(extract, relation)) for asset, relation in EXTRACTED.items()
    }


def read_extract(
    frames: FrameStore, month: str, hashes: Hashes, columns: Mapping[str, Sequence[str]] | None = None
) -> Extract:
    """The extract of these hashes. Raises: FrameMissing, StoreError.

    `columns`: by relation, what is wanted of it where that is not everything; each relation has all its rows.
    """
    from billing_pipeline.oms.contract import RELATIONS, with_optional_columns
    from billing_pipeline.oms.extract import Extract

    def part(asset: str, relation: str) -> pd.DataFrame:
        wanted = None if columns is None else list(columns[relation])
        frame = frames.read(asset, month, hashes[asset], columns=wanted)
        frame = with_optional_columns(RELATIONS[relation], frame)
        return frame if wanted is None else frame[wanted]

    return Extract(**{relation: part(asset, relation) for asset, relation in EXTRACTED.items()})


def write_billed(frames: FrameStore, month: str, billed: BilledMonth) -> dict[str, str]:
    """Keeps what was billed, as the frames from which files are made. Raises: StoreError."""
    return {name: frames.write(name, month, getattr(billed, part)) for name, part in _BILLED.items()}


def read_billed(
    frames: FrameStore, month: str, hashes: Hashes, customers: Collection[str] | None = None
) -> BilledMonth:
    """What was billed, by these hashes, of everybody or of these customers. Raises: FrameMissing, StoreError.

    Billings of releases before 0.2 know neither the standings of rows nor warnings.
    """
    from billing_pipeline.billing.bill import BilledMonth
    from billing_pipeline.billing.kept_back import kept_back_frame
    from billing_pipeline.billing.standing import no_standings
    from billing_pipeline.problems import problems_frame

    found = {
        part: frames.read(name, month, hashes[name], customers)
        for name, part in _BILLED.items()
        if name in hashes
    }
    unknown = {
        "kept_back": kept_back_frame([]),
        "warnings": problems_frame([]),
        "standings": no_standings(),
    }
    return BilledMonth(**{**unknown, **found})


def take_over_unversioned(frames: FrameStore, month: str) -> tuple[dict[str, str], dict[str, str]] | None:
    """Keeps what a release before 0.2 left of the month, under hashes: the extract's, and what was billed of it.

    None where it left nothing, or not all. Raises: StoreError.
    """
    parts = [name for name in _BILLED if name not in (KEPT_BACK, WARNINGS, STANDINGS)]
    found = {name: frames.read_unversioned(name, month) for name in (*EXTRACTED, *parts)}
    hashes = {name: frames.write(name, month, frame) for name, frame in found.items() if frame is not None}
    if len(hashes) < len(found):
        return None
    return {name: hashes[name] for name in EXTRACTED}, {name: hashes[name] for name in parts}
