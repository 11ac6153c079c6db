"""`init DIR`: what it writes is the packaged rules and queries and every setting, and a month is billed from it."""

from __future__ import annotations

import stat
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import pytest
from dotenv import dotenv_values

from billing_pipeline.billing.rules import load_rules
from billing_pipeline.oms.contract import RELATIONS
from billing_pipeline.oms.demo import create_demo_oms
from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.settings import SECRETS, Settings, load_settings
from billing_pipeline.steps.starting_folder import _PARTS, DATABASES
from billing_pipeline_tests.support.installation import Answer, Installation

FILES = [".env", "rules.toml", *(f"queries/{name}.sql" for name in RELATIONS)]


class Newcomer(Installation):
    """Somebody with an empty folder, and nothing set in the environment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}

    def fill_in(self, values: dict[str, str]) -> None:
        """Into `.env`, as a person does: the line that is commented out is set."""
        env = self.folder / ".env"
        lines = env.read_text("utf-8").splitlines()
        for name, value in values.items():
            (place,) = (index for index, line in enumerate(lines) if line.startswith(f"#{name}="))
            lines[place] = f"{name}={value}"
        env.write_text("\n".join(lines), encoding="utf-8")


def started(tmp_path: Path, *options: str) -> tuple[Newcomer, Answer]:
    newcomer = Newcomer(tmp_path)
    answer = newcomer.command("init", "mine", *options)
    newcomer.folder = tmp_path / "mine"
    return newcomer, answer


@pytest.mark.parametrize("database", DATABASES)
def test_it_writes_the_packaged_rules_and_queries_and_says_what_comes_next(
    tmp_path: Path, database: str
) -> None:
    newcomer, answer = started(tmp_path, "--oms", database)
    assert answer.status == 0, answer.err
    *named, following = answer.out.splitlines()
    assert named == [f"mine/{name}" for name in FILES]
    assert "BILLING_OMS_URL" in following
    assert "billing-pipeline doctor" in following
    packaged = resources.files("billing_pipeline.oms").joinpath("queries", database)
    for name in RELATIONS:
        text = (newcomer.folder / "queries" / f"{name}.sql").read_text("utf-8")
        assert text == packaged.joinpath(f"{name}.sql").read_text("utf-8")
    assert load_rules(newcomer.folder / "rules.toml") == load_rules()


def test_the_env_names_every_setting_and_sets_only_what_is_in_the_folder(tmp_path: Path) -> None:
    newcomer, _ = started(tmp_path)
    env = newcomer.folder / ".env"
    text = env.read_text("utf-8")
    for name in Settings.model_fields:
        suffix = "_FILE" if name in SECRETS else ""
        assert f"BILLING_{name.upper()}{suffix}=" in text
        if name in SECRETS:
            assert f"#BILLING_{name.upper()}_FILE=\n" in text
    assert dotenv_values(env) == {"BILLING_OMS_QUERIES": "queries", "BILLING_RULES": "rules.toml"}
    assert set(_PARTS) <= set(Settings.model_fields)
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_with_every_commented_default_set_it_is_what_it_was(tmp_path: Path) -> None:
    newcomer, _ = started(tmp_path)
    set_all = (newcomer.folder / ".env").read_text("utf-8").replace("\n#BILLING_", "\nBILLING_")
    (newcomer.folder / "all.env").write_text(set_all, encoding="utf-8")
    values = {name: value or "" for name, value in dotenv_values(newcomer.folder / "all.env").items()}
    given = {
        name: value for name, value in values.items() if name in {"BILLING_OMS_QUERIES", "BILLING_RULES"}
    }
    assert load_settings(values) == load_settings(given)


@pytest.mark.parametrize("taken", FILES)
def test_it_overwrites_nothing_and_then_writes_nothing(tmp_path: Path, taken: str) -> None:
    (tmp_path / "mine" / "queries").mkdir(parents=True)
    (tmp_path / "mine" / taken).write_text("mine", encoding="utf-8")
    _, answer = started(tmp_path)
    assert answer.status == 2
    assert f"mine/{taken}: is there already" in answer.err
    assert [path.read_text("utf-8") for path in (tmp_path / "mine").rglob("*") if path.is_file()] == ["mine"]


def test_a_folder_that_cannot_be_made_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("a file", encoding="utf-8")
    _, answer = started(tmp_path)
    assert answer.status == 2
    assert "mine" in answer.err
    assert "name another folder" in answer.err


def test_doctor_leads_from_an_untouched_env_to_a_billed_month(tmp_path: Path) -> None:
    newcomer, _ = started(tmp_path, "--oms", "sqlite")
    first = newcomer.command("doctor")
    assert first.status != 0
    assert "BILLING_OMS_URL" in first.out + first.err

    month = last_complete_month(datetime.now(UTC), "Europe/Berlin")
    create_demo_oms(tmp_path / "oms.db", until_month=month, months=3, customers=30)
    newcomer.fill_in({"BILLING_OMS_URL": f"sqlite:///{tmp_path / 'oms.db'}"})
    second = newcomer.command("doctor")
    assert second.status != 0
    (red,) = (line for line in second.out.splitlines() if line.startswith("FIX  inbox"))
    assert "BILLING_SFTP_HOST" in red

    with Sandbox(tmp_path / "sandbox", sftp_port=0) as sandbox:
        inbox = {name: value for name, value in sandbox.settings().items() if "EASYBILL" not in name}
        newcomer.fill_in(inbox)
        third = newcomer.command("doctor")
        assert third.status == 0, third.out + third.err
        billed = newcomer.command("run", month, "--json")
        assert billed.status in {0, 1}, billed.err  # the demo's deliberate faults
        counts = billed.json()["counts"]
        assert counts["delivered"] >= 10
        assert counts["failed"] == counts["held"] == 0
