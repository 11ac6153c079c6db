"""The rules file: its defaults, its documentation, overrides, and what it refuses."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path

import pytest

from billing_pipeline.billing.rules import CustomerRules, FeeText, Rules, RulesInvalid, load_rules
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.billing import rules_of

PACKAGED = (resources.files("billing_pipeline.billing") / "rules.toml").read_text("utf-8")


def refusal(tmp_path: Path, toml: str) -> str:
    path = tmp_path / "rules.toml"
    path.write_text(toml, "utf-8")
    with pytest.raises(RulesInvalid) as caught:
        load_rules(path)
    message = str(caught.value)
    assert message.startswith("BILLING_RULES: ")
    assert str(path) in message
    return message.removeprefix("BILLING_RULES: ").replace(str(path), "rules.toml")


def test_the_defaults_are_those_of_the_packaged_file() -> None:
    rules = load_rules()
    assert (rules.tasks, rules.language, rules.price_basis) == ("described", "de", "gross")
    assert (rules.missing_price, rules.group_lines, rules.lines) == ("block", False, "all")
    assert rules.billable_statuses == ("completed",)
    assert (rules.late_months, rules.settling_hours, rules.delivery_policy) == (12, None, "best_effort")
    assert (rules.not_in_easybill, rules.draft_deadline_hours, rules.draft_template) == ("warn", 24, "")
    assert rules.purchase_date == "last_day_of_month"
    assert rules.layout is None
    assert rules.order_number("2026-10", "00123", 1) == "2026-10-00123"
    assert rules.order_number("2026-10", "00123", 2) == "2026-10-00123-r2"


def test_the_packaged_file_documents_every_rule_once_with_a_value() -> None:
    for key in [*Rules.model_fields, *FeeText.model_fields]:
        assert re.search(rf"^\[{key}\]|^(# )?.*\b{key} = ", PACKAGED, re.MULTILINE), key
    uncommented = re.sub(r"^# (?=[a-z_]+ = |\[)", "", PACKAGED, flags=re.MULTILINE)
    tomllib.loads(uncommented)
    assert rules_of(uncommented).for_customer("10023").language == "en"


def test_a_packaged_rule_that_is_set_as_it_is_changes_nothing() -> None:
    assert rules_of(PACKAGED) == load_rules() == rules_of("")


def test_a_file_sets_what_it_says_and_leaves_the_rest() -> None:
    rules = rules_of('language = "en"\nsettling_hours = 48\n[cancellation_fees]\nno_show = { title = "NS" }')
    assert (rules.language, rules.settling_hours, rules.tasks) == ("en", 48, "described")
    assert rules.cancellation_fees == {"no_show": FeeText(title="NS")}


def test_a_customers_rules_stand_over_the_general_ones_key_by_key() -> None:
    rules = rules_of(
        """
        language = "en"
        [cancellation_fees]
        no_show = { title = "NS" }
        late = { title = "Late" }
        [customers.00123]
        group_lines = true
        cancellation_fees.late = { item_number = "L" }
        """
    )
    mine = rules.for_customer("00123")
    assert (mine.language, mine.group_lines) == ("en", True)
    assert mine.cancellation_fees == {"no_show": FeeText(title="NS"), "late": FeeText(item_number="L")}
    assert rules.for_customer("123") is rules
    assert not rules.group_lines


@pytest.mark.parametrize(
    ("toml", "line", "key", "says"),
    [
        ("taks = 1", 1, "taks", "did you mean tasks?"),
        ("xyzzy = 1", 1, "xyzzy", "known here: language, "),
        ('\n# a\ntasks = "itemized"', 3, "tasks", "'described' or 'itemised'"),
        ('group_lines = "yes"', 1, "group_lines", "boolean"),
        ("late_months = 3.0", 1, "late_months", "integer"),
        ("late_months = true", 1, "late_months", "integer"),
        ("late_months = -1", 1, "late_months", "greater than or equal to 0"),
        ("settling_hours = 1000", 1, "settling_hours", "less than or equal to"),
        ("language = 5", 1, "language", "'de' or 'en'"),
        ("billable_statuses = []", 1, "billable_statuses", "at least 1"),
        ('lines = "all"\nproviders = [\n  "a",\n  1,\n]', 2, "providers", "string"),
        ('providers = ["a", "b", "a"]', 1, "providers", "'a' twice"),
        ('[customers."a b"]\nlanguage = "fr"', 2, 'customers."a b".language', "'de' or 'en'"),
        ('[customers.1]\nlangauge = "de"', 2, "customers.1.langauge", "did you mean language?"),
        ("[customers.1]\nlate_months = 1", 2, "customers.1.late_months", "holds for all customers"),
        ("[customers]\n1 = 5", 2, "customers.1", "must be a table"),
        ("customers = 5", 1, "customers", "must be a table"),
        ('[cancellation_fees.x]\ntitel = "X"', 2, "cancellation_fees.x.titel", "did you mean title?"),
        ('cancellation_fees.x.title = ""', 1, "cancellation_fees.x.title", "at least 1 character"),
        ('cancellation_fees.x.title = "a\\u0007"', 1, "cancellation_fees.x.title", "control characters"),
        ('customers.1.cancellation_fees.x.y = "a"', 1, "customers.1.cancellation_fees.x.y", "unknown"),
        ('order_number_format = "{month}-{customer}"', 1, "order_number_format", "without {revision}"),
        (
            'order_number_prefix = "RE"\norder_number_format = "{month}-{customer}{revision}"',
            2,
            "order_number_format",
            "no {prefix}",
        ),
    ],
)
def test_what_is_wrong_is_named_with_file_line_and_key(
    tmp_path: Path, toml: str, line: int, key: str, says: str
) -> None:
    message = refusal(tmp_path, toml)
    assert message.startswith(f"rules.toml, line {line}: {key} ")
    assert says in message


def test_a_general_fault_that_customers_share_is_told_once(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'language = "fr"\n[customers.1]\ngroup_lines = true\n[customers.2]\n')
    assert message == "rules.toml, line 1: language is 'fr'; it must be 'de' or 'en'"


def test_several_faults_are_counted(tmp_path: Path) -> None:
    assert refusal(tmp_path, 'tasks = 1\nlanguage = "fr"').endswith("(and 1 more)")


def test_a_file_that_is_no_toml_is_named_with_the_place(tmp_path: Path) -> None:
    assert "line 2" in refusal(tmp_path, 'language = "de"\nx = = 1')
    assert "line 2" in refusal(tmp_path, 'language = "de"\nx = ')


def test_a_file_that_is_missing_or_not_utf_8_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.toml cannot be read: No such file"):
        load_rules(tmp_path / "none.toml")
    path = tmp_path / "latin.toml"
    path.write_bytes('language = "dé"'.encode("latin-1"))
    with pytest.raises(UsageError, match="is not UTF-8"):
        load_rules(path)


def test_rules_cannot_be_changed_once_loaded() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_rules().__setattr__("language", "en")


def test_every_rule_of_a_customer_is_a_general_rule() -> None:
    assert set(CustomerRules.model_fields) < set(Rules.model_fields)
