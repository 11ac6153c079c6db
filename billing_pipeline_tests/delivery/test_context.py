"""What is asked before a file is sent: the check of its bytes, and whether the run was stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from billing_pipeline.delivery.context import FileCheck, Halt
from billing_pipeline.delivery.records import DeliveryResult, Parcel
from billing_pipeline.easybill.layout import load_layout
from billing_pipeline.easybill.render import render_csv
from billing_pipeline.problems import Code, Problem
from billing_pipeline.store.blobs import BlobStore, StoreError
from billing_pipeline_tests.support.documents import a_document
from billing_pipeline_tests.support.parcels import MONTH, parcel

LAYOUT = load_layout("easybill-custom-csv")
NUMBER = "10023"


@pytest.fixture
def made(store: BlobStore) -> Parcel:
    """A parcel of a file as an export makes it."""
    document = a_document()
    data = render_csv(document, LAYOUT)
    one = parcel(NUMBER, data, store=store)
    return replace(one, export=replace(one.export, document_sha256=store.put("document", document.to_json())))


def test_a_file_that_is_what_its_document_and_layout_say_may_be_sent(made: Parcel, store: BlobStore) -> None:
    data = store.get("csv", made.export.sha256)
    assert FileCheck({NUMBER: LAYOUT}).problems(made, data, store) == ()


def test_a_file_that_is_not_is_refused_with_its_customer(made: Parcel, store: BlobStore) -> None:
    data = store.get("csv", made.export.sha256)
    problems = FileCheck({NUMBER: LAYOUT}).problems(made, data.replace(b"178", b"179"), store)
    assert {(problem.code, problem.customer_number) for problem in problems} == {
        (Code.LAYOUT_INVALID, NUMBER)
    }


def test_what_has_passed_in_this_run_is_not_checked_again_unless_its_bytes_or_its_document_are_others(
    made: Parcel, store: BlobStore, tmp_path: Path
) -> None:
    data, wrong = store.get("csv", made.export.sha256), b"no file of ours"
    passed = frozenset({(made.export.sha256, made.export.document_sha256)})
    without_store = replace(made, export=replace(made.export, document_sha256="0" * 64))
    check = FileCheck({NUMBER: LAYOUT}, passed)
    assert check.problems(made, wrong, store) != ()
    with pytest.raises(StoreError):
        check.problems(without_store, data, store)
    store_of_nothing = BlobStore(tmp_path / "of nothing")
    assert check.problems(made, data, store_of_nothing) == ()


def test_a_file_whose_document_is_lost_cannot_be_checked(store: BlobStore) -> None:
    one = parcel(NUMBER, b"x", store=store)
    with pytest.raises(StoreError):
        FileCheck({NUMBER: LAYOUT}).problems(one, b"x", store)


def result(code: Code | None, *, revision: int = 1) -> DeliveryResult:
    problems = () if code is None else (Problem(code, NUMBER, "why"),)
    return DeliveryResult(MONTH, NUMBER, "failed" if code else "delivered", problems, revision=revision)


def test_a_run_is_stopped_by_its_first_failure_and_only_by_one() -> None:
    halt = Halt()
    for harmless in (
        result(None),
        result(Code.DELIVERY_IN_PROGRESS),
        result(Code.CHANGED_AFTER_DELIVERY),
        result(Code.LEDGER_BEHIND),
        result(Code.MONTH_HELD_BACK),
        result(Code.DELIVERY_FAILED, revision=2),
    ):
        halt.note(harmless)
        assert halt.problems(parcel(NUMBER)) == ()
    halt.note(result(Code.DELIVERY_FAILED))
    assert [problem.code for problem in halt.problems(parcel("10024"))] == [Code.MONTH_HELD_BACK]
    assert halt.problems(parcel("10024", revision=2)) == ()
    halt.note(result(Code.NAME_COLLISION))
    assert halt.because == f"{NUMBER} failed (DELIVERY_FAILED)"
