"""Whatever happens to rows, rules, decisions and runs: in the end each is billed once, or says why it is not.

300 lives of 12 steps in every run, always the same; 5,100 with FULL_TESTS=1. A broken rule must fail it. A few live by
the command line, with Dagster, under the same law.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.billing import set_aside
from billing_pipeline_tests.support.extent import FULL
from billing_pipeline_tests.support.lives import live, live_by_command

CUSTOMERS, STEPS = 150, 12
# The runs of a world cost more than its customers: a full world for each of two workers.
WORLDS = 34 if FULL else 2


# A minute and a half of a quiet core: a busy machine is no reason to fail.
@pytest.mark.timeout(1_200)
@pytest.mark.parametrize("seed", range(WORLDS))
def test_every_row_is_billed_once_or_says_why_not(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed, customers=CUSTOMERS, steps=STEPS)


@pytest.mark.parametrize("seed", range(5 if FULL else 1))
def test_the_law_holds_by_the_command_line_too(tmp_path: Path, seed: int) -> None:
    lives = live_by_command(tmp_path, seed, customers=5, steps=4)
    drafts, _ = lives.books.documents(lambda _: True)
    assert len(drafts) > 1
    # One draft less, and the law is broken: it has looked at this world.
    standing = {one.order_number for one in lives.months.ledger.deliveries.standing()}
    lives.books.delete_document(next(one.id for one in drafts if one.order_number in standing))
    with pytest.raises(AssertionError):
        lives.judge()


def test_a_replaced_row_that_is_not_set_aside_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_aside, "_replacements", lambda *_: iter(()))
    with pytest.raises(AssertionError, match="in 2 drafts"):
        live(tmp_path, 1, customers=25, steps=4)


def test_it_is_found_out_by_the_command_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(set_aside, "_replacements", lambda *_: iter(()))
    with pytest.raises(AssertionError, match="in 2 drafts"):
        live_by_command(tmp_path, 0, customers=3, steps=0)
