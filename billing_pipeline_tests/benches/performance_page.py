"""What was measured, as a page: medians with their ranges, ratios over the floors, the machine. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Final

from billing_pipeline_tests.benches.bench_oms import Size
from billing_pipeline_tests.benches.measured import Sample

COPY: Final = "floor 1: the rows, into files (psql, COPY)"
SPLIT: Final = "floor 2: the rows, one CSV per customer (pyarrow)"
SEND: Final = "floor 3: the files, into the inbox (lftp -P4)"
DAGSTER: Final = "floor 4: Dagster's own records, in a process of its own"
RUN: Final = "`run MONTH`"
AGAIN: Final = "`run MONTH` again, unchanged"
NEXT: Final = "`run` of the month after it, finished months behind it"
ON_POSTGRES: Final = "`run MONTH`, ledger and Dagster on PostgreSQL"
AUDIT: Final = "`audit` of the finished months, at once"
STATUS: Final = "`status MONTH`"
HELP: Final = "`--help`"
FLOORS: Final = (COPY, SPLIT, SEND)
TOGETHER: Final = "floors 1 + 2 + 3"
ORDER: Final = (*FLOORS, TOGETHER, DAGSTER, RUN, AGAIN, NEXT, AUDIT, ON_POSTGRES, STATUS, HELP)

HOW_TO_READ: Final = """\
How to read it: floors 1 to 3 are the least that any solution would have to do, done by a plain quick tool that checks
and remembers nothing; a ratio over their sum says how much more the pipeline takes for all it does beside them. Floor 4
says how much of that is Dagster's. Floors and pipeline were measured in turns, in one run, on one machine: compare what
stands in one table, not seconds of two machines. Wall clock is from shell to shell, a new process each; CPU is user and
system time of the process and those it started, without that of the servers (PostgreSQL, sshd), which work at the same
time; memory is the peak of the largest process. Each is a median, with the least and the most in brackets. A ratio is
of two figures of one turn, so that a minute in which the machine is slow is in both."""

BEHIND: Final = """\
Finished months behind the month after: {}. The last three, in which late rows are looked for, are as large as the one
that is measured, the others an eighth."""


@dataclass(frozen=True)
class Measured:
    """A size, and the samples of each row of its table; `missing`: a program → the package that brings it."""

    name: str
    size: Size
    samples: Mapping[str, Sequence[Sample]]
    csv_bytes: int
    store_bytes: int
    months_behind: int = 0
    missing: Mapping[str, str] = field(default_factory=dict)

    def middle(self, row: str) -> Sample | None:
        """The medians of a row; None if it was not measured."""
        samples = self.of(row)
        return Sample(*map(median, zip(*samples, strict=True))) if samples else None

    def of(self, row: str) -> Sequence[Sample]:
        """A row, turn by turn; empty if it was not measured."""
        return self.samples.get(row, ())

    @property
    def floors(self) -> Sequence[Sample]:
        """The three floors together, turn by turn: seconds add up, of memory the largest counts.

        Empty unless all were measured.
        """
        three = [self.of(row) for row in FLOORS]
        turns = zip(*three, strict=True) if all(three) else ()
        return [
            Sample(
                sum(floor.wall_s for floor in turn),
                sum(floor.cpu_s for floor in turn),
                max(floor.peak_bytes for floor in turn),
            )
            for turn in turns
        ]


def page(
    measured: Sequence[Measured],
    machine: Mapping[str, str],
    others: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """The page. `others`: further benches by title, with their figures as lines."""
    parts = [
        "# How fast it is",
        "Written by `make bench` (`--into`); measure again rather than edit.",
        table(("machine", ""), machine.items()),
        HOW_TO_READ,
    ]
    reached = table(("reach", "measured", "goal", ""), reach({one.name: one for one in measured}))
    parts += ["## Reach", reached] if reached else []
    for one in measured:
        parts += [
            f"## {one.name}: {one.size.customers:,} customers × {one.size.services:,} services",
            f"{one.size.lines:,} invoice lines of two tasks each; {one.csv_bytes / 1e6:,.1f} MB of CSV.",
            BEHIND.format(one.months_behind) if one.months_behind else "",
            table(("", "wall clock, s", "CPU, s", "memory, MB"), rows(one)),
            *(
                f"Not measured: `{program}` is missing (`apt-get install {package}`)."
                for program, package in one.missing.items()
            ),
            table(("ratio", "wall clock", "CPU", "memory"), ratios(one)),
            f"Store over CSV, in bytes: {one.store_bytes / one.csv_bytes:.2f}.",
        ]
    by_name = {one.name: one for one in measured}
    if "M" in by_name and "L" in by_name:
        growth = ratio(
            f"`run MONTH` of L over that of M ({by_name['L'].size.lines / by_name['M'].size.lines:g} × the lines)",
            *_middles(by_name["L"], by_name["M"], RUN),
        )
        parts += ["## L over M", table(("ratio", "wall clock", "CPU", "memory"), growth)]
    for title, lines in (others or {}).items():
        parts += [f"## {title}", "\n".join(["```text", *lines, "```"])]
    return "\n\n".join(part for part in parts if part) + "\n"


def reach(measured: Mapping[str, Measured]) -> Iterator[tuple[str, ...]]:
    """What is to be reached, by wall clock, of the sizes that were measured: figure, goal, and whether it is."""
    medium, large, one_customer = (measured.get(name) for name in ("M", "L", "X"))
    if medium is not None:
        run, floors = medium.of(RUN), medium.floors
        yield from _reached(f"M: `run MONTH` over {TOGETHER}", _times(run, floors), 8)
        yield from _reached(f"M: again, unchanged, over {TOGETHER}", _times(medium.of(AGAIN), floors), 5)
        if medium.months_behind:
            name = f"M: with {medium.months_behind} finished months behind it over `run MONTH`"
            yield from _reached(name, _times(medium.of(NEXT), run), 1.3)
        audit = medium.middle(AUDIT)
        if audit is not None:
            name = f"M: `audit` of {medium.months_behind} months, three of them of that size"
            yield from _reached(f"{name}, s", audit.wall_s, 60)
            yield from _reached(f"{name}, MB", audit.peak_bytes / 1e6, 600)
        yield from _reached("M: peak memory of any run, MB", _peak_mb(medium), 600)
        yield from _reached("M: store over CSV, in bytes", medium.store_bytes / medium.csv_bytes, 1.5)
        yield from _reached("M: on PostgreSQL over SQLite", _times(medium.of(ON_POSTGRES), run), 1.3)
        for row, seconds in ((STATUS, 1.0), (HELP, 0.3)):
            middle = medium.middle(row)
            yield from _reached(f"M: {row}, s", None if middle is None else middle.wall_s, seconds)
    if medium is not None and large is not None:
        for of, over in zip(*_middles(large, medium, RUN), strict=True):
            yield from _reached("L over M: time", of.wall_s / over.wall_s, 5.5)
            yield from _reached("L over M: memory", of.peak_bytes / over.peak_bytes, 2)
    if one_customer is not None:
        yield from _reached("X: peak memory of any run, MB", _peak_mb(one_customer), 600)


def _reached(name: str, figure: float | None, goal: float) -> Iterator[tuple[str, ...]]:
    if figure is not None:
        yield name, f"{figure:,.2f}", f"≤ {goal:g}", "reached" if figure <= goal else "missed"


def _times(of: Sequence[Sample], over: Sequence[Sample]) -> float | None:
    """The median of the turns, by wall clock."""
    if not of or not over:
        return None
    return median(mine.wall_s / theirs.wall_s for mine, theirs in zip(of, over, strict=True))


def _middles(one: Measured, other: Measured, row: str) -> tuple[Sequence[Sample], Sequence[Sample]]:
    """The medians of a row of two sizes, which have turns of their own; nothing where either was not measured."""
    mine, theirs = one.middle(row), other.middle(row)
    return ([mine], [theirs]) if mine is not None and theirs is not None else ([], [])


def _peak_mb(measured: Measured) -> float | None:
    """Of the medians of all rows that are runs, the largest."""
    middles = [measured.middle(row) for row in (RUN, AGAIN, NEXT, ON_POSTGRES)]
    return max((one.peak_bytes / 1e6 for one in middles if one is not None), default=None)


def rows(measured: Measured) -> Iterator[tuple[str, ...]]:
    """A row for each thing measured, and one for the floors together."""
    for row in ORDER:
        samples = measured.floors if row == TOGETHER else measured.of(row)
        if samples:
            yield (
                row,
                spread([sample.wall_s for sample in samples]),
                spread([sample.cpu_s for sample in samples]),
                spread([sample.peak_bytes / 1e6 for sample in samples], digits=0),
            )


def ratios(measured: Measured) -> Iterator[tuple[str, ...]]:
    """Who takes how much more than whom."""
    run, floors = measured.of(RUN), measured.floors
    yield from ratio(f"`run MONTH` over {TOGETHER}", run, floors)
    yield from ratio("Dagster's own floor over `run MONTH`", measured.of(DAGSTER), run)
    yield from ratio(f"again, unchanged, over {TOGETHER}", measured.of(AGAIN), floors)
    yield from ratio("again, unchanged, over `run MONTH`", measured.of(AGAIN), run)
    yield from ratio("with finished months behind it over `run MONTH`", measured.of(NEXT), run)
    yield from ratio("on PostgreSQL over SQLite", measured.of(ON_POSTGRES), run)


def ratio(name: str, of: Sequence[Sample], over: Sequence[Sample]) -> Iterator[tuple[str, ...]]:
    """A row of ratios, each of one turn; none where either was not measured."""
    if of and over:
        columns = zip(zip(*of, strict=True), zip(*over, strict=True), strict=True)
        yield name, *(_quotients(mine, theirs) for mine, theirs in columns)


def _quotients(of: Sequence[float], over: Sequence[float]) -> str:
    if not all(over):
        return "n/a"
    return spread([mine / theirs for mine, theirs in zip(of, over, strict=True)])


def spread(values: Sequence[float], *, digits: int = 2) -> str:
    """The median, and the range where there are several."""
    middle, least, most = (f"{value:,.{digits}f}" for value in (median(values), min(values), max(values)))
    return middle if len(values) == 1 else f"{middle} ({least} to {most})"


def table(head: Sequence[str], body: Iterable[Sequence[str]]) -> str:
    """A Markdown table, numbers to the right; "" without rows."""
    listed = [f"| {' | '.join(row)} |" for row in body]
    rule = f"|---|{'---:|' * (len(head) - 1)}" if len(head) > 2 else "|---|---|"
    return "\n".join([f"| {' | '.join(head)} |", rule, *listed]) if listed else ""
