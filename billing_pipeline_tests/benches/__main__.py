"""`python -m billing_pipeline_tests.benches [NAME]… [--size S M L X] [--repeat N] [--into FILE]`: speed, measured.

Without a name, all benches but those that go by name alone (`exits`); with `--size` alone, `month`. `--into
docs/performance.md` writes the page. Status 1 if a figure misses its goal; months and their floors have none.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

# Some systems keep /tmp in memory; what is measured waits for the disk, as a real machine does.
os.environ.setdefault("TMPDIR", "/var/tmp")

FIGURES = ("event_log", "registered", "sftp_delivery")
BY_NAME = ("exits",)
"""Not among all: they take minutes, and measure no speed."""

MONTH = "month"


def main(arguments: Sequence[str]) -> int:
    """Prints each bench's figures as they come, and then the page on months."""
    options = _options(arguments)
    names = options.names or ([MONTH] if options.size else [*FIGURES, MONTH])
    missed = False
    others: dict[str, list[str]] = {}
    for name in names:
        if name != MONTH:
            bench = importlib.import_module(f"billing_pipeline_tests.benches.{name}")
            title = (bench.__doc__ or name).splitlines()[0].rstrip(".")
            lines = others.setdefault(title, [])
            print(f"\n{title}", flush=True)
            for figure in bench.figures():
                print(f"  {figure}", flush=True)
                lines.append(str(figure))
                missed |= figure.missed
    if MONTH in names:
        print(_months(options, others))
    return int(missed)


def _months(options: argparse.Namespace, others: dict[str, list[str]]) -> str:
    from billing_pipeline_tests.benches.machine import machine
    from billing_pipeline_tests.benches.month import measure_all
    from billing_pipeline_tests.benches.performance_page import Measured, page
    from billing_pipeline_tests.support.postgres import postgres_server

    def say(line: str) -> None:
        print(f"  {line}", file=sys.stderr, flush=True)

    with (
        postgres_server(durable=True) as server,
        tempfile.TemporaryDirectory(prefix="billing-bench-") as folder,
    ):
        described = machine(server)
        done: list[Measured] = []
        for one in measure_all(
            options.size or ["S", "M"],
            server,
            Path(folder),
            repetitions=options.repeat,
            months_behind=options.behind,
            say=say,
        ):
            done.append(one)
            text = page(done, described, others)
            if options.into:
                # After each size: the next one may take an hour, and fail.
                options.into.write_text(text, encoding="utf-8")
        return text


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m billing_pipeline_tests.benches", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"of {', '.join((*FIGURES, *BY_NAME, MONTH))}"
    )
    parser.add_argument(
        "--size", nargs="+", action="extend", choices=("S", "M", "L", "X"), help="months of these sizes (S M)"
    )
    parser.add_argument("--repeat", type=int, metavar="N", help="times that each is measured (3; L and X 1)")
    parser.add_argument(
        "--behind",
        type=int,
        default=12,
        metavar="N",
        help="finished months before one of S or M (12); 0: quicker",
    )
    parser.add_argument("--into", type=Path, metavar="FILE", help="write the page, too")
    options = parser.parse_args(arguments)
    if unknown := set(options.names) - {*FIGURES, *BY_NAME, MONTH}:
        parser.error(f"no such bench: {', '.join(sorted(unknown))}")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
