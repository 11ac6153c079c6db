"""`python -m billing_pipeline_tests.benches [NAME]…`: all benches or those named; status 1 if a goal is missed."""

from __future__ import annotations

import importlib
import sys

BENCHES = ("event_log", "registered", "sftp_delivery")


def main(names: list[str]) -> int:
    """Prints each bench's figures as they come."""
    missed = False
    for name in names or BENCHES:
        bench = importlib.import_module(f"billing_pipeline_tests.benches.{name}")
        print(f"\n{(bench.__doc__ or name).splitlines()[0]}", flush=True)
        for figure in bench.figures():
            print(f"  {figure}", flush=True)
            missed |= figure.missed
    return int(missed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
