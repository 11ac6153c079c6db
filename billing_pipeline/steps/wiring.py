"""What assets and commands are given: thin objects around the rooms' own clients, built from the settings.

They hold plain values and open nothing before they are asked, so that loading the definitions needs no database and
no network, and a test puts its own in their place: `build_defs(resources={"oms": FakeOms(extract)})`.
"""

from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import SecretStr

from billing_pipeline.billing.rules import Rules, load_rules
from billing_pipeline.delivery.api.account import EasyBillAccount
from billing_pipeline.delivery.api.draft_channel import DraftChannel
from billing_pipeline.delivery.channel import Channel
from billing_pipeline.delivery.context import ARCHIVE_NAMES, Places
from billing_pipeline.delivery.files.inbox import Inbox
from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.transports.folder import FolderTransport
from billing_pipeline.delivery.transports.ftps import FtpsTransport
from billing_pipeline.delivery.transports.protocol import Transport
from billing_pipeline.delivery.transports.sftp import SftpTransport
from billing_pipeline.easybill.layout import Layout, load_layout
from billing_pipeline.oms.extract import (
    Extract,
    MonthReading,
    MonthText,
    customer_numbers,
    extract_month,
    month_text,
    reading_month,
)
from billing_pipeline.oms.period import period_of
from billing_pipeline.oms.source import open_source
from billing_pipeline.settings import Settings, SettingsInvalid
from billing_pipeline.steps.memory import suit_memory_to_months
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline.store.frames import FrameStore

Item = TypeVar("Item")


class Oms(Protocol):
    """Where a month's rows come from."""

    def extract(self, month: str, *, also: Collection[str] = ()) -> Extract:
        """The rows of a month, in one snapshot, with the customers who own them, and those of the numbers in `also`."""

    def month_text(self, month: str, *, also: Collection[str] = ()) -> MonthText:
        """The same rows, of which some at a time become an extract."""

    def reading(self, month: str, first_month: str) -> AbstractContextManager[MonthReading]:
        """Reads the rows of a month, and keeps the snapshot to look back as far as `first_month`."""

    def customer_numbers(self) -> list[str]:
        """Every customer number, test customers aside."""


@dataclass(frozen=True)
class OmsDatabase:
    """The OMS behind `BILLING_OMS_URL`. `billable_statuses`: as `extract_month` has them."""

    url: str
    queries: Path | None
    timezone: str
    billable_statuses: tuple[str, ...]

    def extract(self, month: str, *, also: Collection[str] = ()) -> Extract:
        """Reads the month; raises the errors of `oms.source`."""
        return extract_month(
            open_source(self.url, self.queries),
            period_of(month, self.timezone),
            timezone=self.timezone,
            also=also,
            billable_statuses=self.billable_statuses,
        )

    def month_text(self, month: str, *, also: Collection[str] = ()) -> MonthText:
        """Reads the month; raises the errors of `oms.source`."""
        return month_text(
            open_source(self.url, self.queries),
            period_of(month, self.timezone),
            timezone=self.timezone,
            also=also,
            billable_statuses=self.billable_statuses,
        )

    def reading(self, month: str, first_month: str) -> AbstractContextManager[MonthReading]:
        """Reads the month; raises the errors of `oms.source`."""
        return reading_month(
            open_source(self.url, self.queries),
            month,
            timezone=self.timezone,
            first_month=first_month,
            billable_statuses=self.billable_statuses,
        )

    def customer_numbers(self) -> list[str]:
        """Every customer number; raises the errors of `oms.source`."""
        return customer_numbers(open_source(self.url, self.queries))


@dataclass(frozen=True)
class NoOms:
    """Where `BILLING_OMS_URL` is not set: whatever reads the OMS is refused. The demo names its own database."""

    def extract(self, month: str, *, also: Collection[str] = ()) -> Extract:
        """Raises: SettingsInvalid."""
        raise _oms_not_set()

    def month_text(self, month: str, *, also: Collection[str] = ()) -> MonthText:
        """Raises: SettingsInvalid."""
        raise _oms_not_set()

    def reading(self, month: str, first_month: str) -> AbstractContextManager[MonthReading]:
        """Raises: SettingsInvalid."""
        raise _oms_not_set()

    def customer_numbers(self) -> list[str]:
        """Raises: SettingsInvalid."""
        raise _oms_not_set()


def _oms_not_set() -> SettingsInvalid:
    return SettingsInvalid(
        "BILLING_OMS_URL is not set, so there is no OMS to read: set it to your order management system's "
        "SQLAlchemy URL, such as postgresql://user@host/oms; `billing-pipeline demo` and `ui` bring their own"
    )


@dataclass(frozen=True)
class LedgerAt:
    """The ledger behind `BILLING_LEDGER_URL`: opened, and brought to the current schema, on first use."""

    url: str

    def open(self) -> Ledger:
        """The one ledger of this process."""
        return _ledger(self.url)


@cache
def _ledger(url: str) -> Ledger:
    return open_ledger(url)


@dataclass(frozen=True)
class BillingSettings:
    """The rules, and the layouts they name; each file is read once. `over_api`: drafts are made without files.

    `require_approval`: nothing is sent that nobody has approved.
    """

    rules: Rules
    default_layout: str
    timezone: str
    first_month: str = "0001-01"
    over_api: bool = False
    require_approval: bool = False

    def layout_of(self, customer_number: str) -> Layout:
        """The CSV layout for a customer: the one the rules name for them, or `BILLING_LAYOUT`."""
        return _layout(self.rules.for_customer(customer_number).layout or self.default_layout)

    def layouts_of(self, customer_numbers: Iterable[str]) -> dict[str, Layout]:
        """The layout of each of these customers."""
        return {number: self.layout_of(number) for number in customer_numbers}


@cache
def _layout(name: str) -> Layout:
    return load_layout(name)


@dataclass(frozen=True)
class ChannelAt:
    """The way for files to EASY Bill that `BILLING_TRANSPORT` names."""

    settings: Settings
    easybill: EasyBillAccount
    rules: Rules

    def open(self) -> Channel:
        """The channel; no server is asked yet. Raises: SettingsInvalid where the settings name no inbox."""
        return self._channel

    @cached_property
    def _channel(self) -> Channel:
        settings = self.settings
        if settings.transport == "api":
            return DraftChannel(self.easybill, self.rules.draft_template)
        return Inbox(
            transport_of(settings),
            Places(
                settings.remote_dir,
                settings.remote_archive_dir,
                settings.remote_error_dir,
                settings.remote_archive_names or ARCHIVE_NAMES,
                settings.first_month,
            ),
            self.rules,
            BlobStore(settings.store_url_or_default),
            connections=settings.sftp_connections * settings.sftp_channels
            if settings.transport == "sftp"
            else 1,
            timeout_s=settings.sftp_timeout_s if settings.transport == "sftp" else settings.ftps_timeout_s,
        )


class Progress(Protocol):
    """Shows how far a long step is. The default shows nothing: Dagster's own UI does."""

    def over(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """The same items, one by one."""


class NoProgress:
    """Shows nothing."""

    def over(self, items: Iterable[Item], what: str, total: int) -> Iterator[Item]:
        """The same items, one by one."""
        yield from items


@dataclass(frozen=True)
class Wiring:
    """Everything of one installation, by the name under which assets ask for it."""

    oms: Oms
    frames: FrameStore
    ledger: LedgerAt
    blobs: BlobStore
    billing: BillingSettings
    channel: ChannelAt
    easybill: EasyBillAccount
    progress: Progress

    def as_resources(self) -> dict[str, Any]:
        """By name, as `Definitions` wants them."""
        return dict(vars(self))


def build_wiring(settings: Settings, progress: Progress | None = None) -> Wiring:
    """Everything of the installation, as the settings say.

    Raises: SettingsInvalid, RulesInvalid, LayoutInvalid.
    """
    suit_memory_to_months()
    rules = load_rules(settings.rules)
    _layout(settings.layout)
    easybill = EasyBillAccount(
        settings.easybill_api_url,
        settings.easybill_api_key,
        settings.easybill_requests_per_minute,
    )
    return Wiring(
        oms=oms_of(settings, rules),
        frames=FrameStore(settings.store_url_or_default),
        ledger=LedgerAt(settings.ledger_url_or_default),
        blobs=BlobStore(settings.store_url_or_default),
        billing=BillingSettings(
            rules,
            settings.layout,
            settings.timezone,
            settings.first_month,
            settings.transport == "api",
            settings.require_approval,
        ),
        channel=ChannelAt(settings, easybill, rules),
        easybill=easybill,
        progress=progress or NoProgress(),
    )


def oms_of(settings: Settings, rules: Rules) -> Oms:
    """The OMS of the settings; without one, one that refuses to be read."""
    if settings.oms_url is None:
        return NoOms()
    return OmsDatabase(settings.oms_url, settings.oms_queries, settings.timezone, rules.all_billable_statuses)


def transport_of(settings: Settings) -> Transport:
    """The transport that `BILLING_TRANSPORT` names.

    Raises: SettingsInvalid where it has no host or folder; UsageError where a key file cannot be used.
    """
    if settings.transport == "folder" and settings.folder is not None:
        return FolderTransport(settings.folder)
    if (
        settings.transport == "ftps"
        and settings.ftps_host
        and settings.ftps_username
        and settings.ftps_password
    ):
        return FtpsTransport(
            host=settings.ftps_host,
            port=settings.ftps_port,
            username=settings.ftps_username,
            password=settings.ftps_password.get_secret_value(),
            ca_file=settings.ftps_ca_file,
            timeout_s=settings.ftps_timeout_s,
        )
    if (
        settings.transport == "sftp"
        and settings.sftp_host
        and settings.sftp_username
        and settings.sftp_known_hosts_file
    ):
        return SftpTransport(
            host=settings.sftp_host,
            port=settings.sftp_port,
            username=settings.sftp_username,
            known_hosts_file=settings.sftp_known_hosts_file,
            password=_secret(settings.sftp_password),
            private_key_file=settings.sftp_private_key_file,
            private_key_passphrase=_secret(settings.sftp_private_key_passphrase),
            timeout_s=settings.sftp_timeout_s,
            connections=settings.sftp_connections,
            channels=settings.sftp_channels,
        )
    raise SettingsInvalid(
        f"BILLING_TRANSPORT={settings.transport} has no inbox yet: set BILLING_SFTP_HOST and its account, "
        "or BILLING_TRANSPORT=folder with BILLING_FOLDER; `billing-pipeline sandbox` offers one to try"
    )


def _secret(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
