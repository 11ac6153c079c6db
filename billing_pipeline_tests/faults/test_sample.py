"""A seeded sample of the bench in every test run: the promises hold, and the negative controls fail.

All of it, with the figures of docs/delivery.md, is `make bench-faults`.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from billing_pipeline_tests.faults.__main__ import BEGIN, END, put_into
from billing_pipeline_tests.faults.bench import SAMPLE, Bench, Results
from billing_pipeline_tests.faults.report import Row, as_json, markdown, rows


@pytest.fixture(scope="module")
def results() -> Results:
    return Bench(SAMPLE, seed=20_261_101, say=print).run()


@pytest.mark.timeout(600)
def test_every_promise_holds_in_the_sample(results: Results) -> None:
    broken = [row for row in rows(results, full=False) if not row.holds]
    assert not broken, markdown(results, full=False)


def test_a_sample_is_not_enough_where_the_whole_bench_is_promised(results: Results) -> None:
    broken = {
        row.promised.partition(" ")[2].partition(";")[0] for row in rows(results, full=True) if not row.holds
    }
    assert broken >= {"1,500", "40 kinds", "30 kinds"}
    assert len([row for row in rows(results, full=True) if row.promised == "≥ 1,500" and not row.holds]) == 2


def test_status_was_asked_after_each_run(results: Results) -> None:
    runs = sum(trial.runs for _, trial in results.kills)
    assert results.status.asked > runs
    assert results.status.said_delivered > results.status.asked / 4


def test_something_was_killed_cut_and_woken(results: Results) -> None:
    assert sum(trial.kills for _, trial in results.kills) >= 15
    assert sum(trial.resets for _, trial in results.cuts) >= 10
    assert results.zombies is not None
    assert results.zombies.woken >= 4


def test_every_negative_control_fails_the_bench(results: Results) -> None:
    assert set(results.controls) == {"put to the final name", "rename without ledger", "ledger before upload"}
    for how, verdicts in results.controls.items():
        assert any(not verdict.clean for verdict in verdicts.values()), how


def test_the_results_are_a_table_and_an_object(results: Results) -> None:
    table = markdown(results, full=False)
    assert all(line.startswith("|") for line in table.split("\n\n")[0].splitlines())
    found = json.loads(json.dumps(as_json(results, full=False)))
    assert found["holds"] is True
    assert {*found["rows"][0]} == {*Row.__dataclass_fields__}


def test_the_documentation_has_a_place_for_the_table_and_a_full_run_in_it(tmp_path: Path) -> None:
    documentation = Path(__file__).parents[2] / "docs" / "delivery.md"
    page = tmp_path / "delivery.md"
    page.write_text(documentation.read_text(encoding="utf-8"), encoding="utf-8")
    assert "negative control: rename without ledger" in page.read_text(encoding="utf-8")
    assert "BROKEN" not in page.read_text(encoding="utf-8")
    put_into(page, "the table")
    assert "negative control: rename without ledger" not in page.read_text(encoding="utf-8")
    assert f"{BEGIN}\n\nthe table\n\n{END}" in page.read_text(encoding="utf-8")
