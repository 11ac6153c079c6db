"""docs/billing-rules.md is true: its commands, run on its rows with its rules, print what it says."""

from __future__ import annotations

from pathlib import Path

from billing_pipeline.billing.rules import Rules
from billing_pipeline_tests.support.documented import Page, comparable

PAGE = Path(__file__).parents[1] / "docs" / "billing-rules.md"


def test_the_example_prints_what_the_page_says(tmp_path: Path) -> None:
    text = PAGE.read_text("utf-8")
    replayed = Page(text).replayed(tmp_path)
    # Mended by `python -m billing_pipeline_tests.support.documented docs/billing-rules.md`, if the page is to change.
    assert comparable(replayed).splitlines() == comparable(text).splitlines()


def test_the_page_has_rows_of_every_relation_and_commands_that_fail_too() -> None:
    page = Page(PAGE.read_text("utf-8"))
    assert {name for name, _ in page.rows()} == {
        "customers",
        "services",
        "service_tasks",
        "cancellation_fees",
    }
    assert page.text.count("\n$ billing-pipeline ") > 25
    assert "(exit status 1)" in page.text
    assert "(exit status 2)" in page.text


def test_a_page_that_says_something_else_is_not_the_same() -> None:
    assert comparable("2026-11-20 14:56:40 CET  a") == comparable("2027-07-01 00:00:00 CEST  a")
    assert comparable("gross 1.00") != comparable("gross 1.01")


def test_every_rule_is_told() -> None:
    text = PAGE.read_text("utf-8")
    about_delivery = {"delivery_policy", "not_in_easybill", "draft_deadline_hours", "draft_template"}
    assert [name for name in Rules.model_fields if name not in about_delivery and name not in text] == []
