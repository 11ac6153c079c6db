"""`python -m billing_pipeline_tests.faults [--full] [--seed N] [--json FILE] [--into FILE]`: the bench, and its table.

The table is Markdown; `--into docs/delivery.md` puts it there, between the two comments that mark its place.
Exit status 1 if a promise is broken, or a negative control passes.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from billing_pipeline_tests.faults.bench import FULL, SAMPLE, Bench
from billing_pipeline_tests.faults.report import as_json, faulty, markdown

BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m billing_pipeline_tests.faults", description=__doc__)
    parser.add_argument("--full", action="store_true", help="all of it, about 20 minutes; otherwise a sample")
    parser.add_argument(
        "--seed", type=int, default=20_261_101, help="what is random is the same for the same seed"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results as JSON, too")
    parser.add_argument(
        "--into", type=Path, metavar="FILE", help="put the table into a page, between its marks"
    )
    options = parser.parse_args()
    extent = FULL if options.full else SAMPLE
    results = Bench(extent, options.seed, lambda line: print(line, file=sys.stderr, flush=True)).run()
    table = markdown(results, full=options.full)
    print(table)
    for line in faulty(results):
        print(line, file=sys.stderr)
    if options.into:
        put_into(options.into, table)
    found = as_json(results, full=options.full)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0 if found["holds"] else 1


def put_into(page: Path, table: str) -> None:
    """Replace what stands between the page's marks. Raises: ValueError if it has none."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{page} has no place for the table: {BEGIN} … {END}")
    page.write_text(f"{before}{BEGIN}\n\n{table}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
