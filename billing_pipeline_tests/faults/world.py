"""What a trial happens in: a server with inboxes and receivers, a ledger, a store, and the files to deliver.

Everything that a child process needs is plain data (`Address`), for it is sent there.
"""

from __future__ import annotations

import itertools
import multiprocessing
import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerContext
from pathlib import Path

from billing_pipeline.delivery.ledger import Ledger, open_ledger
from billing_pipeline.delivery.records import Export, Parcel
from billing_pipeline.delivery.transports.folder import FolderTransport
from billing_pipeline.delivery.transports.ftps import FtpsTransport
from billing_pipeline.delivery.transports.protocol import Transport
from billing_pipeline.delivery.transports.sftp import SftpTransport
from billing_pipeline.report.month import month_status
from billing_pipeline.store.blobs import BlobStore, sha256_of
from billing_pipeline_tests.faults.judge import Verdict, judge
from billing_pipeline_tests.faults.status import CALLED_DELIVERED, StatusChecks, outcome_in_status
from billing_pipeline_tests.support.openssh import HOST, OpenSshServer
from billing_pipeline_tests.support.pollers import Conduct, Seen, Watch, polling, seen_by
from billing_pipeline_tests.support.vsftpd import Vsftpd

MONTH = "2026-10"
SIZES = (700, 100_000, 1_500_000)
"""Bytes: a customer with one line, a large one, and one larger than any buffer on the way."""

RECEIVERS_PATIENCE_S = 10.0
"""So long may a receiver on a busy machine take to log what it has taken."""

CONDUCTS: tuple[Conduct, ...] = ("archive", "delete", "ignore")


@dataclass(frozen=True)
class Account:
    """How to reach a server: what a transport is made of. `password` None: by the key.

    `two_steps`: the folder (`trust`) is on a file system like NFS, where a rename that does not overwrite is two steps.
    """

    kind: str
    port: int
    username: str
    trust: Path
    key: Path | None = None
    password: str | None = None
    two_steps: bool = False

    def transport(self, timeout_s: float) -> Transport:
        if self.kind == "folder":
            return FolderTransport(self.trust)
        if self.kind == "ftps":
            return FtpsTransport(
                host=HOST,
                port=self.port,
                username=self.username,
                password=self.password or "",
                ca_file=self.trust,
                timeout_s=timeout_s,
            )
        return SftpTransport(
            host=HOST,
            port=self.port,
            username=self.username,
            password=self.password,
            private_key_file=self.key,
            known_hosts_file=self.trust,
            timeout_s=timeout_s,
        )


def openssh_account(server: OpenSshServer, port: int | None = None) -> Account:
    return Account("sftp", port or server.port, server.username, server.known_hosts, key=server.client_key)


def folder_account(folder: Path, *, two_steps: bool) -> Account:
    return Account("folder", 0, "", folder, two_steps=two_steps)


def vsftpd_account(server: Vsftpd) -> Account:
    return Account("ftps", server.port, "anonymous", server.ca_file, password="guest")


@dataclass(frozen=True)
class Address:
    """All that a run needs to deliver: an account, its directories, a ledger and a store."""

    account: Account
    remote_dir: str
    archive_dir: str | None
    error_dir: str | None
    ledger_url: str
    home: Path
    timeout_s: float = 5.0

    @property
    def store(self) -> BlobStore:
        return BlobStore(self.home / "store")


@dataclass(frozen=True)
class Case:
    """One file, where it is to go, and who waits for it there."""

    parcel: Parcel
    address: Address
    conduct: Conduct

    @property
    def name(self) -> str:
        return self.parcel.export.file_name


@dataclass
class World:
    """The inboxes of one server (one for each conduct) with their receivers, a ledger and a store.

    `remote` is the folder as the account names it, `local` the same on this machine.
    """

    account: Account
    ledger_url: str
    home: Path
    local: Path
    remote: str
    context: ForkServerContext
    timeout_s: float = 5.0
    status: StatusChecks = field(default_factory=StatusChecks)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(10_001))
    _expected: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        for conduct in CONDUCTS:
            for folder in ("import", "archive", "error"):
                (self.local / conduct / folder).mkdir(parents=True, exist_ok=True)
                # An FTP server may run as somebody else.
                (self.local / conduct / folder).chmod(0o777)
        self.ledger: Ledger = open_ledger(self.ledger_url)
        self.store = BlobStore(self.home / "store")

    @contextmanager
    def receivers(self) -> Iterator[None]:
        """The receivers at work."""
        watches = [
            Watch(
                self.local / conduct / "import",
                conduct,
                self.local / conduct / "archive" if conduct == "archive" else None,
            )
            for conduct in CONDUCTS
        ]
        with polling(watches, self.home / "seen.log", self.context):
            yield

    def seen(self) -> list[Seen]:
        return seen_by(self.home / "seen.log")

    def judge(self, expected: Mapping[str, str], told: Iterable[str]) -> Verdict:
        """As `judge`, where nothing is told to be held of which `status` says that it was delivered."""
        return judge(expected, set(told) - self.said_delivered(), self.seen(), self.status.untrue)

    def said_delivered(self) -> set[str]:
        """The files that `status` calls delivered, whatever the runs said."""
        status = month_status(
            MONTH, self.ledger.months.customers(MONTH), self.ledger.deliveries.of_month(MONTH)
        )
        return {
            file_name_of(customer.customer_number)
            for customer in status.customers
            if customer.outcome in CALLED_DELIVERED
        }

    def check_status(self, case: Case, *, is_strangers: bool = False) -> None:
        """After a run, and before the next: what `status` calls delivered has arrived, and is no stranger's file."""
        outcome = outcome_in_status(self.ledger, MONTH, case.parcel.export.customer_number)
        self.status.note(case.name, outcome, lambda: not is_strangers and self._has_arrived(case))

    def _has_arrived(self, case: Case) -> bool:
        """Whether it lies in the inbox, or a receiver has taken it; those may need a moment to say so."""
        path, sha256 = self.inbox_folder(case.conduct) / case.name, case.parcel.export.sha256
        until = time.monotonic() + RECEIVERS_PATIENCE_S
        while True:
            with suppress(FileNotFoundError):
                if sha256_of(path.read_bytes()) == sha256:
                    return True
            log = (self.home / "seen.log").read_text(encoding="utf-8")
            if any(case.name in line and sha256 in line for line in log.splitlines()):
                return True
            if time.monotonic() > until:
                return False
            time.sleep(0.02)

    @property
    def expected(self) -> dict[str, str]:
        """SHA-256 by name of every file that was asked to be delivered."""
        return dict(self._expected)

    def inbox_folder(self, conduct: Conduct) -> Path:
        return self.local / conduct / "import"

    def case(
        self,
        size: int,
        conduct: Conduct,
        random: random.Random,
        *,
        archive_known: bool = True,
        port: int | None = None,
    ) -> Case:
        """A new customer's file of so many bytes, exported and stored, not yet delivered."""
        number = str(next(self._numbers))
        data = csv_of(size, number, random)
        sha256 = self.store.put("csv", data)
        export = Export(
            month=MONTH,
            customer_number=number,
            outcome="rendered",
            order_number=f"{MONTH}-{number}",
            file_name=file_name_of(number),
            sha256=sha256,
            document_sha256=sha256,
            size_bytes=len(data),
            line_count=data.count(b"\n") - 1,
            currency="EUR",
            net=100,
            vat=19,
            gross=119,
            layout="easybill-custom-csv",
        )
        self.ledger.months.record_exports([export], "bench")
        self._expected[export.file_name] = sha256
        root = f"{self.remote.rstrip('/')}/{conduct}"
        address = Address(
            account=self.account if port is None else replace(self.account, port=port),
            remote_dir=f"{root}/import",
            archive_dir=f"{root}/archive" if archive_known else None,
            error_dir=f"{root}/error" if archive_known else None,
            ledger_url=self.ledger_url,
            home=self.home,
            timeout_s=self.timeout_s,
        )
        return Case(Parcel(export, billed=()), address, conduct)


def file_name_of(customer_number: str) -> str:
    return f"easybill_{MONTH}_{customer_number}.csv"


def csv_of(size: int, number: str, random: random.Random) -> bytes:
    """A file of exactly so many bytes, unlike every other one."""
    lines = [b"order_number;customer_number;title;quantity;item_price\n"]
    length = len(lines[0])
    while length < size:
        line = f'"{MONTH}-{number}";"{number}";"Battery change {random.random():.15f}";1;178.50\n'.encode()
        lines.append(line)
        length += len(line)
    return b"".join(lines)[: size - 1] + b"\n"


def child_context() -> ForkServerContext:
    """Children are forked from a small, warm, single-threaded process: quick, and with no thread's lock held.

    A fork of the bench itself would inherit the locks of its threads in whatever state they are.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(
        [
            "__main__",
            "billing_pipeline_tests.faults.warm",
            "billing_pipeline_tests.faults.drafts",
            "billing_pipeline_tests.support.pollers",
        ]
    )
    return context
