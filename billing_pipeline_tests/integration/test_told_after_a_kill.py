"""A run that dies between publishing a file and telling so: `status` goes by the delivery, not by an older run.

What was made before is sent again by its upload alone, as somebody does in Dagster after a failure: no export speaks
anew there.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from billing_pipeline.delivery.ledger.months import Months
from billing_pipeline.delivery.records import DeliveryResult, Outcome
from billing_pipeline.steps.make_files import stored_exports
from billing_pipeline_tests.support.delivering import Crash
from billing_pipeline_tests.support.plain_months import PlainMonths
from billing_pipeline_tests.support.sent_september import SEPTEMBER, service


@pytest.fixture
def months(tmp_path: Path) -> PlainMonths:
    """September of 10023, whose first upload has failed, and whose inbox is there again."""
    months = PlainMonths(tmp_path)
    months.oms.customer("10023")
    service(months, "S-1", SEPTEMBER)
    inbox = months.installation.inbox
    shutil.rmtree(inbox)
    inbox.write_text("not a directory")
    months.run(SEPTEMBER)
    assert told(months)[0] == "failed"
    inbox.unlink()
    inbox.mkdir()
    return months


def told(months: PlainMonths) -> tuple[Outcome, list[str]]:
    customer = months.customer(SEPTEMBER)
    return customer.outcome, [str(problem.code) for problem in customer.problems]


def upload_and_die_before_telling(months: PlainMonths, monkeypatch: pytest.MonkeyPatch) -> None:
    record = Months.record_outcomes

    def die(self: Months, results: Sequence[DeliveryResult], run_id: str, **options: bool) -> None:
        if results:
            raise Crash
        record(self, results, run_id, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Months, "record_outcomes", die)
        with pytest.raises(Crash):
            upload(months)


def upload(months: PlainMonths) -> None:
    months.send(SEPTEMBER, stored_exports(["10023"], SEPTEMBER, months.wiring.ledger))


def test_what_was_published_is_told_as_delivered(
    months: PlainMonths, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_and_die_before_telling(months, monkeypatch)
    assert list(months.installation.files()) == ["easybill_2026-09_10023.csv"]
    assert told(months) == ("delivered", [])
    assert months.open() == ()
    assert months.installation.command("status", SEPTEMBER).status == 0
    upload(months)
    assert told(months) == ("unchanged", [])


def test_what_was_held_is_told_as_held(months: PlainMonths, monkeypatch: pytest.MonkeyPatch) -> None:
    (months.installation.inbox / "easybill_2026-09_10023.csv").write_text("somebody else's")
    upload_and_die_before_telling(months, monkeypatch)
    assert told(months) == ("held", ["NAME_COLLISION"])
