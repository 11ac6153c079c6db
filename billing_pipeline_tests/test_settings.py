"""The settings: what is read, what is refused, and that no secret is ever shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline.settings import Settings, SettingsInvalid, load_settings

CANARY = "canary-5f1c-secret"


def test_without_any_variable_the_documented_defaults_hold() -> None:
    settings = load_settings({})
    assert settings.timezone == "Europe/Berlin"
    assert settings.first_month == "2025-01"
    assert settings.transport == "sftp"
    assert settings.remote_dir == "/import"
    assert (settings.sftp_port, settings.sftp_timeout_s, settings.sftp_connections) == (22, 30, 4)
    assert settings.customers_per_run == 250
    assert settings.easybill_requests_per_minute == 10
    assert settings.ledger_url_or_default == f"sqlite:///{Path('.billing').absolute() / 'ledger.db'}"


def test_an_unknown_variable_is_refused_by_name() -> None:
    with pytest.raises(SettingsInvalid, match="BILLING_SFTP_HOSTNAME"):
        load_settings({"BILLING_SFTP_HOSTNAME": "inbox.example"})


def test_variables_of_others_are_none_of_our_business() -> None:
    load_settings({"DAGSTER_HOME": "/x", "PATH": "/bin", "BILLING_REQUIRE_ALL_TESTS": "1"})


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BILLING_TIMEZONE", "Mars/Olympus"),
        ("BILLING_FIRST_MONTH", "2025-13"),
        ("BILLING_SETTLING_HOURS", "-1"),
        ("BILLING_SETTLING_HOURS", "649"),
        ("BILLING_TRANSPORT", "scp"),
        ("BILLING_REMOTE_DIR", "import"),
        ("BILLING_REMOTE_DIR", "/import/../etc"),
        ("BILLING_SFTP_PORT", "65536"),
        ("BILLING_SFTP_TIMEOUT_S", "0"),
        ("BILLING_CUSTOMERS_PER_RUN", "0"),
        ("BILLING_REQUIRE_APPROVAL", "perhaps"),
    ],
)
def test_a_value_out_of_range_is_refused_and_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(SettingsInvalid, match=variable):
        load_settings({variable: value})


def test_every_fault_is_told_at_once() -> None:
    with pytest.raises(SettingsInvalid, match=r"BILLING_TIMEZONE.*BILLING_SFTP_PORT"):
        load_settings({"BILLING_TIMEZONE": "x", "BILLING_SFTP_PORT": "x"})


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"BILLING_TRANSPORT": "folder"}, "BILLING_FOLDER"),
        ({"BILLING_TRANSPORT": "ftps"}, "BILLING_FTPS_HOST"),
        ({"BILLING_TRANSPORT": "api"}, "BILLING_EASYBILL_API_KEY"),
        ({"BILLING_SFTP_HOST": "inbox.example"}, "BILLING_SFTP_KNOWN_HOSTS_FILE"),
        ({"BILLING_SFTP_HOST": "inbox.example"}, "BILLING_SFTP_PASSWORD or BILLING_SFTP_PRIVATE_KEY_FILE"),
    ],
)
def test_half_a_transport_is_refused_and_names_what_is_missing(given: dict[str, str], named: str) -> None:
    with pytest.raises(SettingsInvalid, match=named):
        load_settings(given)


def test_an_empty_value_is_an_unset_one() -> None:
    assert load_settings({"BILLING_REMOTE_ARCHIVE_DIR": "", "BILLING_SFTP_PORT": ""}).sftp_port == 22


def test_a_secret_may_be_named_by_file(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(f"{CANARY}\n", encoding="utf-8")
    password = load_settings({"BILLING_SFTP_PASSWORD_FILE": str(file)}).sftp_password
    assert password is not None
    assert password.get_secret_value() == CANARY


def test_a_secret_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match="BILLING_SFTP_PASSWORD_FILE"):
        load_settings({"BILLING_SFTP_PASSWORD_FILE": str(tmp_path / "none")})


@pytest.mark.parametrize(
    "variable",
    [
        "BILLING_SFTP_PASSWORD",
        "BILLING_SFTP_PRIVATE_KEY_PASSPHRASE",
        "BILLING_FTPS_PASSWORD",
        "BILLING_EASYBILL_API_KEY",
        "BILLING_ALERT_URLS",
    ],
)
def test_no_secret_is_shown_by_the_settings_or_by_an_error_about_them(variable: str) -> None:
    assert CANARY not in repr(load_settings({variable: CANARY}))
    with pytest.raises(SettingsInvalid) as error:
        load_settings({variable: CANARY, "BILLING_TRANSPORT": CANARY, "BILLING_SFTP_PORT": CANARY})
    assert CANARY not in str(error.value)
    assert error.value.__cause__ is None


def test_the_environment_goes_before_the_dot_env_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("BILLING_SFTP_PORT=2222\nBILLING_FIRST_MONTH=2024-05\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BILLING_SFTP_PORT", "2022")
    settings = load_settings()
    assert (settings.sftp_port, settings.first_month) == (2022, "2024-05")


def test_paths_are_absolute_so_that_every_process_of_a_run_means_the_same() -> None:
    settings = load_settings({"BILLING_HOME": "somewhere", "BILLING_RULES": "rules.toml"})
    assert settings.home.is_absolute()
    assert settings.rules is not None
    assert settings.rules.is_absolute()


def test_every_setting_says_what_it_is_for() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
