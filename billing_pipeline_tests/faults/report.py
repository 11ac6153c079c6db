"""What was promised beside what was reached: a table for people, an object for scripts, and whether all of it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from billing_pipeline_tests.faults.bench import Results
from billing_pipeline_tests.faults.drafts import LOST_REPLIES
from billing_pipeline_tests.faults.judge import Verdict
from billing_pipeline_tests.faults.server_faults import ServerFaults


@dataclass(frozen=True)
class Row:
    """One line of the table. `holds`: what was reached is what was promised, or better."""

    promise: str
    promised: str
    reached: str
    holds: bool


LEAST_KILLS, LEAST_CUTS, LEAST_ROUNDS = 1_500, 1_500, 500
LEAST_SFTP_KINDS, LEAST_FTPS_KINDS = 40, 30


def rows(results: Results, *, full: bool) -> list[Row]:
    """The table. The numbers of trials are part of the promise only where the whole bench ran (`full`)."""
    found = [
        *_kills(results, full=full),
        *_cuts(results, full=full),
        *_servers("SFTP", results.sftp, LEAST_SFTP_KINDS, full=full),
        *_servers("FTPS", results.ftps, LEAST_FTPS_KINDS, full=full),
        *_drafts(results, full=full),
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
            "`status` after each run of all these, against the receivers' books",
            "what it calls delivered has arrived",
            f"asked {results.status.asked:,} times, {results.status.said_delivered:,} times it said delivered: "
            f"{len(results.status.untrue)} untrue",
            not results.status.untrue and results.status.said_delivered > 0,
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
    return [*found, *_controls(results), *_draft_controls(results)]


def _kills(results: Results, *, full: bool) -> Iterator[Row]:
    for where, trial in results.kills:
        yield Row(
            f"SIGKILL at every edge and inside a write, once and twice; {where}",
            "0 lost, 0 doubled, 0 torn",
            f"{trial.kills:,} kills in {trial.verdict.files:,} deliveries: {trial.verdict}{_more(trial.unfinished)}",
            trial.verdict.clean and trial.kills >= 1 and not trial.unfinished,
        )
    kills = sum(trial.kills for _, trial in results.kills)
    yield Row(
        "SIGKILL, all of these together", f"≥ {LEAST_KILLS:,}", f"{kills:,}", kills >= LEAST_KILLS or not full
    )


def _cuts(results: Results, *, full: bool) -> Iterator[Row]:
    for where, trial in results.cuts:
        yield Row(
            f"connection cut at a random byte, both directions; {where}",
            "0 lost, 0 doubled, 0 torn",
            f"{trial.resets:,} resets, {trial.stalls:,} silences and {trial.flips:,} flipped bits in "
            f"{trial.verdict.files:,} deliveries: {trial.verdict}{_more(trial.unfinished)}",
            trial.verdict.clean and trial.resets >= 1 and not trial.unfinished,
        )
    cuts = sum(trial.resets + trial.stalls for _, trial in results.cuts)
    yield Row(
        "cuts (resets and silences), all of these together",
        f"≥ {LEAST_CUTS:,}",
        f"{cuts:,}",
        cuts >= LEAST_CUTS or not full,
    )


def _more(unfinished: Sequence[str]) -> str:
    return f", {len(unfinished)} never finished" if unfinished else ""


def _drafts(results: Results, *, full: bool) -> Iterator[Row]:
    for trial in results.drafts:
        kills, lost_replies = sum(trial.kills.values()), sum(trial.troubles[each] for each in LOST_REPLIES)
        yield Row(
            "SIGKILL, failing answers and lost replies; drafts through the API, judged by EASY Bill's books (sandbox)",
            "0 lost, 0 doubled, 0 wrong",
            f"{kills} kills, {sum(trial.troubles.values())} failing requests ({lost_replies} of them done, the reply "
            f"lost): {len(trial.lost)} lost, {len(trial.doubled)} doubled, {len(trial.wrong)} wrong, {trial.held} "
            f"held, {trial.right} right{_more(trial.unfinished)}",
            trial.clean and ((kills > 0 and lost_replies > 0) or not full),
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
        f"{max(kind.slowest_s for kind in faults.kinds if not kind.never_ends):.2f} s at most",
        all(kind.in_time for kind in faults.kinds if not kind.never_ends),
    )
    endless = [kind for kind in faults.kinds if kind.never_ends]
    if endless:
        yield Row(
            f"a server that answers in time and never comes to an end, {name}",
            f"an error within the file's deadline ({faults.deadline_s:.0f} s here)",
            f"{max(kind.slowest_s for kind in endless):.2f} s at most",
            all(kind.in_time for kind in endless),
        )


def _together(results: Results, *, full: bool) -> Iterator[Row]:
    for where, trial in results.together:
        yield Row(
            f"three runs on one partition at once; {where}",
            f"≥ {LEAST_ROUNDS} times, exactly one file each",
            f"{trial.rounds} times: {trial.verdict}; one run each said `delivered`, {trial.told_delivered} times",
            trial.verdict.clean and trial.verdict.held == 0 and (trial.rounds >= LEAST_ROUNDS or not full),
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


def _draft_controls(results: Results) -> Iterator[Row]:
    for control in results.draft_controls:
        yield Row(
            f"negative control, drafts through the API: {control.how}",
            "fails",
            f"{len(control.lost)} lost, {len(control.doubled)} doubled",
            bool(control.lost or control.doubled),
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
        "trials": {
            **asdict(replace(results, drafts=[], draft_controls=[])),
            "drafts": [str(trial) for trial in (*results.drafts, *results.draft_controls)],
        },
    }


def faulty(results: Results) -> Iterator[str]:
    """Each delivery that did not end as promised, the controls' aside, for whoever has to find out why."""
    for where, kills in results.kills:
        yield from (f"kills, {where}: {each}" for each in (*kills.verdict.faulty, *kills.unfinished))
    for where, cuts in results.cuts:
        yield from (f"cuts, {where}: {each}" for each in (*cuts.verdict.faulty, *cuts.unfinished))
    for faults in filter(None, (results.sftp, results.ftps)):
        yield from (f"server faults: {each}" for each in faults.verdict.faulty)
    for where, together in results.together:
        yield from (f"three at once, {where}: {each}" for each in together.verdict.faulty)
    for drafts in results.drafts:
        yield from (f"the API: {each}" for each in drafts.faulty)
    if results.zombies is not None:
        yield from (f"sleepers: {each}" for each in results.zombies.verdict.faulty)
