"""`python split_csv.py FROM TO`: a month, from a CSV per relation in FROM to a CSV per customer in TO.

The plainest quick way: pyarrow joins and sorts them and writes slices. The files have about the product's size, each
line with its customer, its service and the tasks as text.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv


def main(relations: Path, into: Path) -> None:
    """Writes the files."""
    tasks = (
        read_text(relations / "service_tasks.csv").group_by("service_id").aggregate([("task_name", "list")])
    )
    tasks = tasks.set_column(1, "tasks", pc.binary_join(tasks["task_name_list"], "\n- "))
    rows = (
        read_text(relations / "services.csv")
        .join(tasks, "service_id")
        .join(read_text(relations / "customers.csv"), "customer_number", right_suffix="_of_customer")
        .sort_by([("customer_number", "ascending"), ("completed_at", "ascending")])
        .combine_chunks()
    )
    start = 0
    for end in pc.run_end_encode(rows["customer_number"].chunk(0)).run_ends.to_pylist():
        number = rows["customer_number"][start].as_py()
        csv.write_csv(rows.slice(start, end - start), into / f"{number.replace('/', '_')}.csv")
        start = end


def read_text(file: Path) -> pa.Table:
    """The file, every cell as text."""
    with file.open(encoding="utf-8") as opened:
        columns = opened.readline().strip().split(",")
    return csv.read_csv(
        file,
        parse_options=csv.ParseOptions(newlines_in_values=True),
        convert_options=csv.ConvertOptions(column_types=dict.fromkeys(columns, pa.string())),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
