"""Whatever happens to rows, rules, decisions and runs: in the end each is billed once, or says why it is not.

100 lives of 12 steps in every run, always the same; 5,100 with FULL_TESTS=1. A broken rule must fail it.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from billing_pipeline.billing import set_aside
from billing_pipeline_tests.support.lives import live

CUSTOMERS, STEPS = 100, 12
# The runs of a world cost far more than its customers: rather one full world than several small ones.
WORLDS = 51 if os.environ.get("FULL_TESTS") == "1" else 1


@pytest.mark.parametrize("seed", range(WORLDS))
def test_every_row_is_billed_once_or_says_why_not(tmp_path: Path, seed: int) -> None:
    live(tmp_path, seed, customers=CUSTOMERS, steps=STEPS)


def test_a_replaced_row_that_is_not_set_aside_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_aside, "_replacements", lambda *_: iter(()))
    with pytest.raises(AssertionError, match="in 2 drafts"):
        live(tmp_path, 1, customers=25, steps=4)
