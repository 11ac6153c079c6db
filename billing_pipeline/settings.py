"""The settings of 5-interfaces as one typed object: read from the environment and `.env`, and checked.

Read once where the house is assembled (`definitions.py`, `cli.py`); rooms are given plain values. An
unknown `BILLING_` name, a value out of range or a contradiction is a `SettingsInvalid` that names the
variable; the value of a secret is never part of a message.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from billing_pipeline.problems import UsageError

PREFIX = "BILLING_"
# Read by the test suite, not by the product; its presence must not stop a command under test.
NOT_OURS = frozenset({"BILLING_REQUIRE_ALL_TESTS"})
EASYBILL_API_URL = "https://api.easybill.de/rest/v1"

Port = Annotated[int, Field(ge=1, le=65_535)]
Seconds = Annotated[float, Field(gt=0, le=3_600)]


class SettingsInvalid(UsageError):
    """A setting is unknown, missing or out of range; the message names the variable and what it may be."""


class Settings(BaseModel):
    """Every setting of the product. Times in seconds, paths absolute once loaded, secrets as `SecretStr`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True, validate_default=True)

    home: Path = Field(Path(".billing"), description="Where the pipeline keeps its state.")
    oms_url: str | None = Field(
        None, description="SQLAlchemy URL of the OMS. Unset: nothing can be billed; `demo` brings its own."
    )
    oms_queries: Path | None = Field(
        None, description="Folder with customers.sql, services.sql, service_tasks.sql, cancellation_fees.sql."
    )
    ledger_url: str | None = Field(
        None, description="SQLAlchemy URL of the ledger. Unset: SQLite in BILLING_HOME."
    )
    store_url: str | None = Field(
        None, description="fsspec URL or path of the store. Unset: `store` in BILLING_HOME."
    )
    timezone: str = Field(
        "Europe/Berlin", description="The billing time zone: decides which month a row is in."
    )
    first_month: str = Field(
        "2025-01", pattern=r"^\d{4}-(0[1-9]|1[0-2])$", description="Months before it do not exist."
    )
    settling_hours: int = Field(
        0, ge=0, le=27 * 24, description="Hours after a month's end until it may be billed."
    )
    rules: Path | None = Field(
        None, description="TOML file with the billing rules. Unset: the packaged defaults."
    )
    layout: str = Field(
        "easybill-custom-csv", description="CSV layout: a packaged name, or the path of a TOML file."
    )

    transport: Literal["sftp", "ftps", "folder", "api"] = Field(
        "sftp", description="How files reach EASY Bill."
    )
    remote_dir: str = Field("/import", description="The inbox's directory.")
    remote_archive_dir: str | None = Field(
        None, description="Where the receiver moves imported files, if known."
    )
    remote_error_dir: str | None = Field(
        None, description="Where the receiver moves rejected files, if known."
    )
    remote_archive_names: str | None = Field(
        None,
        description="How the receiver names what it moved there: a regular expression in which `{stem}` is our name "
        "without `.csv`. Unset: our name, also with something before or behind it.",
    )

    sftp_host: str | None = Field(None, description="Host of the SFTP inbox.")
    sftp_port: Port = Field(22, description="Its port.")
    sftp_username: str | None = Field(None, description="The account.")
    sftp_password: SecretStr | None = Field(None, description="Its password, unless a key is used.")
    sftp_private_key_file: Path | None = Field(None, description="Its private key (OpenSSH format).")
    sftp_private_key_passphrase: SecretStr | None = Field(None, description="The private key's passphrase.")
    sftp_known_hosts_file: Path | None = Field(
        None, description="known_hosts file that pins the server's key."
    )
    sftp_timeout_s: Seconds = Field(30, description="Time-out of each step of an exchange.")
    sftp_connections: int = Field(
        4,
        ge=1,
        le=32,
        description="Most connections at once; each is one login. A further one if all are full.",
    )
    sftp_channels: int = Field(
        8, ge=1, le=32, description="Most files in flight on each connection, if the server allows as many."
    )

    ftps_host: str | None = Field(None, description="Host of the FTPS inbox.")
    ftps_port: Port = Field(21, description="Its port.")
    ftps_username: str | None = Field(None, description="The account.")
    ftps_password: SecretStr | None = Field(None, description="Its password.")
    ftps_ca_file: Path | None = Field(None, description="CA certificates. Unset: the system's.")
    ftps_timeout_s: Seconds = Field(30, description="Time-out of each step of an exchange.")

    folder: Path | None = Field(None, description="The root of the inbox for BILLING_TRANSPORT=folder.")

    easybill_api_url: str = Field(EASYBILL_API_URL, description="EASY Bill's REST API.")
    easybill_api_key: SecretStr | None = Field(
        None, description="API key (or email:key). Unset: drafts are not read back."
    )
    easybill_requests_per_minute: int = Field(
        10, ge=1, le=600, description="The account's plan: 10 PLUS, 60 BUSINESS."
    )

    customers_per_run: int = Field(250, ge=1, le=10_000, description="Customers in one delivery run.")
    alert_urls: SecretStr | None = Field(
        None, description="Where alerts go: apprise URLs, separated by commas or spaces."
    )
    ui_url: str | None = Field(
        None,
        pattern=r"^https?://[^\s/]+",
        description="Where people open Dagster's web UI, for the links in alerts.",
    )
    deadline_hours: int = Field(
        12,
        ge=1,
        le=27 * 24,
        description="Hours after the schedule's start by which a month must be delivered; later is an alert.",
    )
    require_approval: bool = Field(
        False, description="Nothing is sent that nobody has approved (`billing-pipeline approve`)."
    )

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("is not an IANA time zone such as Europe/Berlin") from error
        return value

    @field_validator("ui_url")
    @classmethod
    def _without_slash(cls, value: str | None) -> str | None:
        return None if value is None else value.rstrip("/")

    @field_validator("remote_archive_names")
    @classmethod
    def _pattern_with_stem(cls, value: str | None) -> str | None:
        if value is None:
            return None
        if value.count("{stem}") != 1:
            raise ValueError("must have {stem}, once: it stands for our name without .csv")
        try:
            re.compile(value.replace("{stem}", "(?P<stem>x)"))
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from error
        return value

    @field_validator("remote_dir", "remote_archive_dir", "remote_error_dir")
    @classmethod
    def _absolute_remote_path(cls, value: str | None) -> str | None:
        if value is not None and (not value.startswith("/") or ".." in value.split("/")):
            raise ValueError("must be an absolute remote path such as /import, without '..'")
        return value if value is None or value == "/" else value.rstrip("/")

    @field_validator(
        "home",
        "oms_queries",
        "rules",
        "folder",
        "sftp_private_key_file",
        "sftp_known_hosts_file",
        "ftps_ca_file",
    )
    @classmethod
    def _absolute_path(cls, value: Path | None) -> Path | None:
        return None if value is None else value.expanduser().absolute()

    @model_validator(mode="after")
    def _whole_transport(self) -> Self:
        """Without this a run would extract a month and only then find that it has nowhere to send it."""
        needed: dict[str, tuple[str, ...]] = {
            "sftp": ("sftp_username", "sftp_known_hosts_file") if self.sftp_host else (),
            "ftps": ("ftps_host", "ftps_username", "ftps_password"),
            "folder": ("folder",),
            "api": ("easybill_api_key",),
        }
        missing = [PREFIX + name.upper() for name in needed[self.transport] if getattr(self, name) is None]
        if (
            self.transport == "sftp"
            and self.sftp_host
            and not (self.sftp_password or self.sftp_private_key_file)
        ):
            missing.append("BILLING_SFTP_PASSWORD or BILLING_SFTP_PRIVATE_KEY_FILE")
        if missing:
            raise ValueError(f"BILLING_TRANSPORT={self.transport} needs {', '.join(missing)}")
        return self

    @property
    def demo_oms_file(self) -> Path:
        """Where this home's demo OMS lies."""
        return self.home / "demo_oms.db"

    @property
    def ledger_url_or_default(self) -> str:
        """The ledger: the configured one, or SQLite in the home."""
        return self.ledger_url or f"sqlite:///{self.home / 'ledger.db'}"

    @property
    def store_url_or_default(self) -> str:
        """The store: the configured one, or a folder in the home."""
        return self.store_url or str(self.home / "store")

    @property
    def dagster_home(self) -> Path:
        """Dagster's instance: `DAGSTER_HOME` where it is set, as Dagster's own tools expect."""
        named = os.environ.get("DAGSTER_HOME")
        return Path(named).expanduser().absolute() if named else self.home / "dagster"

    @cached_property
    def alert_targets(self) -> tuple[str, ...]:
        """The alert URLs, one by one. They may hold tokens: never print them."""
        text = self.alert_urls.get_secret_value() if self.alert_urls else ""
        # A comma or space inside a URL, as between two addresses of one e-mail target, is the URL's own.
        return (
            tuple(re.split(r"[,\s]+(?=[A-Za-z][A-Za-z0-9+.-]*://)", text.strip(", \t\r\n"))) if text else ()
        )


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """The settings as the environment gives them, and `.env` in the working directory where it is silent.

    A secret may be named by file instead: `BILLING_SFTP_PASSWORD_FILE` for `BILLING_SFTP_PASSWORD`.
    `environment`, where given, stands in for both, so that a caller depends on neither.

    Raises: SettingsInvalid, naming every variable that is wrong.
    """
    if environment is None:
        environment = {**{name: value or "" for name, value in dotenv_values(".env").items()}, **os.environ}
    values: dict[str, str] = {}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name in NOT_OURS:
            continue
        field = name.removeprefix(PREFIX).lower()
        if field.removesuffix("_file") in SECRETS and field not in Settings.model_fields:
            field, value = field.removesuffix("_file"), _secret_in(name, value)
        if field not in Settings.model_fields:
            raise SettingsInvalid(
                f"{name} is not a setting of billing_pipeline: unset it or mend its name (see README.md)"
            )
        if value != "":
            values[field] = value
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        raise SettingsInvalid(
            "; ".join(_in_words(fault["loc"], fault["msg"]) for fault in error.errors())
        ) from None


SECRETS = frozenset(
    name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation)
)


def _secret_in(variable: str, file: str) -> str:
    if file == "":
        return ""
    try:
        return Path(file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise SettingsInvalid(
            f"{variable}: cannot read {file} ({reason}); name a readable file with the secret"
        ) from None


def _in_words(location: tuple[int | str, ...], message: str) -> str:
    """A validation fault as 'BILLING_X: what it must be', without the value: it might be a secret."""
    reason = message.removeprefix("Value error, ")
    name = "".join(PREFIX + str(part).upper() for part in location[:1])
    return f"{name}: {reason}" if name else reason
