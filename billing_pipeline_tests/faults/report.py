"""What was promised beside what was reached: a table for people, an object for scripts, and whether all of it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from billing_pipeline_tests.faults.bench import Results
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.server_faults import ServerFaults


@dataclass(frozen=True)
class Row:
    """One line of the table. `holds`: what was reached is what was promised, or better."""

    promise: str
    promised: str
    reached: str
    holds: bool


def rows(results: Results, *, full: bool) -> list[Row]:
    """The table. The numbers of trials are part of the promise only where the whole bench ran (`full`)."""
    found = [
        *_kills(results, full=full),
        *_cuts(results, full=full),
        *_servers("SFTP", results.sftp, 40, full=full),
        *_servers("FTPS", results.ftps, 30, full=full),
        *_drafts(results),
        *_together(results, full=full),
    ]
    if results.zombies is not None:
        found.append(
            Row(
                "sleepers that wake up late, one and two at a time, at every edge and inside a write",
                "nothing of theirs counts",
                f"{results.zombies.woken} woken: {results.zombies.verdict}",
                results.zombies.verdict.clean,
            )
        )
    found.append(
        Row(
            "secrets: the password in the ledger, the store, and every log at DEBUG",
            "nowhere",
            f"{results.canaries} times in {results.searched_bytes / 1e6:.0f} MB",
            results.canaries == 0 and results.searched_bytes > 0,
        )
    )
    return [*found, *_controls(results)]


def _kills(results: Results, *, full: bool) -> Iterator[Row]:
    for number, (where, trial) in enumerate(results.kills):
        least = 1_200 if number == 0 and full else 1
        yield Row(
            f"SIGKILL at every edge and inside a write, once and twice; {where}",
            f"{'≥ 1,000 kills: ' if number == 0 else ''}0 lost, 0 doubled, 0 torn",
            f"{trial.kills:,} kills in {trial.verdict.files:,} deliveries: {trial.verdict}",
            trial.verdict.clean and trial.kills >= least and not trial.unfinished,
        )


def _cuts(results: Results, *, full: bool) -> Iterator[Row]:
    for number, (where, trial) in enumerate(results.cuts):
        least = 1_000 if number == 0 and full else 1
        yield Row(
            f"connection cut at a random byte, both directions; {where}",
            f"{'≥ 1,000 cuts: ' if number == 0 else ''}0 lost, 0 doubled, 0 torn",
            f"{trial.resets:,} resets, {trial.stalls:,} silences and {trial.flips:,} flipped bits in "
            f"{trial.verdict.files:,} deliveries: {trial.verdict}",
            trial.verdict.clean and trial.resets + trial.stalls >= least and not trial.unfinished,
        )


def _drafts(results: Results) -> Iterator[Row]:
    for trial in results.drafts:
        yield Row(
            "SIGKILL, failing answers and lost replies; drafts through the API, judged by EASY Bill's books (sandbox)",
            "0 lost, 0 doubled, 0 wrong",
            f"{sum(trial.kills.values())} kills, {sum(trial.troubles.values())} failing requests: {len(trial.lost)} "
            f"lost, {len(trial.doubled)} doubled, {len(trial.wrong)} wrong, {trial.held} held, {trial.right} right",
            trial.clean,
        )


def _servers(name: str, faults: ServerFaults | None, least: int, *, full: bool) -> Iterator[Row]:
    if faults is None:
        return
    broken = [kind.name for kind in faults.kinds if not kind.as_promised]
    yield Row(
        f"server faults, {name}",
        f"≥ {least} kinds; each ends published or held, never silent",
        f"{len(faults.kinds)} kinds, {faults.verdict.files} deliveries: {faults.verdict}"
        + (f"; not as promised: {', '.join(broken)}" if broken else ""),
        not broken and (len(faults.kinds) >= least or not full),
    )
    yield Row(
        f"a stalled server, {name}",
        f"an error within 2 x time-out + 1 s ({2 * faults.timeout_s + 1:.0f} s here)",
        f"{max(kind.slowest_s for kind in faults.kinds):.2f} s at most",
        all(kind.in_time for kind in faults.kinds),
    )


def _together(results: Results, *, full: bool) -> Iterator[Row]:
    for where, trial in results.together:
        yield Row(
            f"three runs on one partition at once; {where}",
            "≥ 500 times, exactly one file each",
            f"{trial.rounds} times: {trial.verdict}; one run each said `delivered`, {trial.told_delivered} times",
            trial.verdict.clean and trial.verdict.held == 0 and (trial.rounds >= 500 or not full),
        )


def _controls(results: Results) -> Iterator[Row]:
    for how, verdicts in results.controls.items():
        yield Row(
            f"negative control: {how}",
            "fails",
            "; ".join(
                f"{trial}: {_faults(verdict)} of {verdict.files}" for trial, verdict in verdicts.items()
            ),
            any(not verdict.clean for verdict in verdicts.values()),
        )


def _faults(verdict: Verdict) -> str:
    return f"{verdict.lost} lost, {verdict.doubled} doubled, {verdict.torn} torn"


def markdown(results: Results, *, full: bool) -> str:
    """The table, and one of the kinds of server faults."""
    lines = ["| promise | promised | reached | |", "|---|---|---|---|"]
    lines += [
        f"| {row.promise} | {row.promised} | {row.reached} | {'holds' if row.holds else '**BROKEN**'} |"
        for row in rows(results, full=full)
    ]
    for name, faults in (("SFTP", results.sftp), ("FTPS", results.ftps)):
        if faults is not None:
            lines += [
                "",
                f"| {name}: kind of fault | the run under it | the run after it | slowest |",
                "|---|---|---|---|",
            ]
            lines += [
                f"| {kind.name} | {_words(kind.under)} | {_words(kind.after)} | {kind.slowest_s:.2f} s |"
                + ("" if kind.as_promised else " **BROKEN** |")
                for kind in faults.kinds
            ]
    lines += ["", f"Seed {results.seed}; {results.seconds / 60:.0f} minutes."]
    return "\n".join(lines)


def _words(outcomes: dict[str, int]) -> str:
    return ", ".join(f"{count} {word}" for word, count in sorted(outcomes.items()))


def as_json(results: Results, *, full: bool) -> dict[str, Any]:
    """Everything, for scripts: the rows, and each trial as it came out."""
    return {
        "full": full,
        "holds": all(row.holds for row in rows(results, full=full)),
        "rows": [asdict(row) for row in rows(results, full=full)],
        # A Counter's keys are no text to `asdict`.
        "trials": {**asdict(replace(results, drafts=[])), "drafts": [str(trial) for trial in results.drafts]},
    }
