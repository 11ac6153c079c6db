"""The box itself: one state folder, an inbox over SFTP, the importer and the API, started and stopped together.

The state folder holds everything: `files/{import,archive,error}`, `easybill.db`, the keys, `known_hosts`. Stopped
and started again on it, the sandbox is the same EASY Bill, at another port if none was fixed.
"""

from __future__ import annotations

import ipaddress
import logging
import sqlite3
import threading
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from billing_pipeline.sandbox.api_server import ApiServer, Connections
from billing_pipeline.sandbox.books import Books
from billing_pipeline.sandbox.credentials import Credentials, known_hosts_line, load_credentials, replace_file
from billing_pipeline.sandbox.drafts import Customer, Draft, ImportRecord
from billing_pipeline.sandbox.fault_injection import Faults, Journal
from billing_pipeline.sandbox.gate import BASE_PATH, Gate, RateLimit
from billing_pipeline.sandbox.importer import Importer, ImportReport
from billing_pipeline.sandbox.receiver_amounts import Basis
from billing_pipeline.sandbox.rest import RestApi
from billing_pipeline.sandbox.sandbox_errors import SandboxError
from billing_pipeline.sandbox.sftp_server import SftpServer

_log = logging.getLogger(__name__)


class Sandbox:
    """EASY Bill on loopback, running inside a `with`; everything runs in threads of this process.

    A port of 0 takes a free one; once it runs, `sftp_port` and `api_url` say which. `api_port` None leaves the API
    out. `import_interval_s` is how often the importer looks by itself; None leaves it to `import_now`. `basis` is
    what the account takes the CSV's price column for. `requests_per_minute` is the account's plan (None: no limit);
    a refusal says how long to wait only with `send_retry_after`, for EASY Bill promises no `Retry-After`.

    `faults` makes the API misbehave; `journal` holds what was asked of it, and what should never have been.

    Raises: SandboxError if `host` is not loopback, a port is taken, or another sandbox runs on `state_dir`.
    """

    # Known once it runs.
    username: str
    password: str
    password_file: Path
    private_key_file: Path
    api_url: str | None = None
    api_email: str
    api_key: str
    api_key_file: Path

    def __init__(
        self,
        state_dir: Path,
        *,
        host: str = "127.0.0.1",
        sftp_port: int = 0,
        api_port: int | None = 0,
        import_interval_s: float | None = 1.0,
        basis: Basis = "gross",
        requests_per_minute: int | None = 10,
        send_retry_after: bool = False,
    ) -> None:
        if not _is_loopback(host):
            raise SandboxError(f"the sandbox serves loopback only, and {host} is not: use 127.0.0.1")
        self.state_dir = state_dir.absolute()
        self.files = self.state_dir / "files"
        self.known_hosts_file = self.state_dir / "known_hosts"
        self.sftp_host = host
        self.sftp_port = sftp_port
        self.faults = Faults()
        self.journal = Journal()
        self._wanted_sftp_port = sftp_port
        self._wanted_api_port = api_port
        self._requests_per_minute = requests_per_minute
        self._send_retry_after = send_retry_after
        self._import_interval_s = import_interval_s
        self._basis: Basis = basis
        self._running: ExitStack | None = None
        self._importer_failure: Exception | None = None

    def __enter__(self) -> Self:
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        with ExitStack() as starting:
            lock = FileLock(self.state_dir / ".lock", timeout=0, thread_local=False)
            try:
                starting.enter_context(lock)
            except Timeout as error:
                raise SandboxError(
                    f"a sandbox is already running on {self.state_dir}: stop it, or name another folder"
                ) from error
            credentials = load_credentials(self.state_dir)
            self.username, self.password = credentials.username, credentials.password
            self.password_file, self.private_key_file = credentials.password_file, credentials.client_key_file
            self.api_email, self.api_key = credentials.email, credentials.api_key
            self.api_key_file = credentials.api_key_file
            self._books = Books(self.state_dir / "easybill.db")
            self._importer = Importer(self.files, self._books, basis=self._basis)
            self._start_importing(starting)
            self._sftp = SftpServer(self.files, credentials, host=self.sftp_host, port=self._wanted_sftp_port)
            starting.callback(self._sftp.stop)
            self.sftp_port = self._sftp.port
            pinned = known_hosts_line(self.sftp_host, self._sftp.port, credentials.host_key)
            replace_file(self.known_hosts_file, pinned.encode("ascii"))
            if self._wanted_api_port is not None:
                self._start_api(starting, credentials, self._wanted_api_port)
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._running is not None:
            self._running.close()
            self._running = None
        if error is None:
            self._raise_importer_failure()

    def import_now(self) -> ImportReport:
        """Imports what lies in `/import`, and says what became of it; waits for a pass that is under way."""
        return self._importer.import_now()

    def drafts(self) -> list[Draft]:
        """The documents that are still drafts, by id, as EASY Bill has them: no fault on demand changes them."""
        self._raise_importer_failure()
        return self._books.documents(lambda document: document.is_draft)[0]

    def imports(self) -> list[ImportRecord]:
        """The importer's own log, oldest first: what arrived, and what became of it."""
        self._raise_importer_failure()
        return self._books.imports()

    def add_customer(self, number: str, **card: object) -> Customer:
        """Adds a customer as a person does in EASY Bill; a number may be given twice, as it can be there.

        `card` has the API's fields (`company_name`, `country`, ...).
        """
        return self._books.add_customer(number, card)

    def customers(self) -> list[Customer]:
        """Every customer, by id, as EASY Bill has them."""
        return self._books.customers()

    def settings(self) -> dict[str, str]:
        """The settings that point the pipeline at this sandbox. Secrets are named by file."""
        settings = {
            "BILLING_TRANSPORT": "sftp",
            "BILLING_REMOTE_DIR": "/import",
            "BILLING_REMOTE_ARCHIVE_DIR": "/archive",
            "BILLING_REMOTE_ERROR_DIR": "/error",
            "BILLING_SFTP_HOST": self.sftp_host,
            "BILLING_SFTP_PORT": str(self.sftp_port),
            "BILLING_SFTP_USERNAME": self.username,
            "BILLING_SFTP_PRIVATE_KEY_FILE": str(self.private_key_file),
            "BILLING_SFTP_KNOWN_HOSTS_FILE": str(self.known_hosts_file),
        }
        if self.api_url is not None:
            settings |= {
                "BILLING_EASYBILL_API_URL": self.api_url,
                "BILLING_EASYBILL_API_KEY_FILE": str(self.api_key_file),
            }
            if self._requests_per_minute is not None:
                settings["BILLING_EASYBILL_REQUESTS_PER_MINUTE"] = str(self._requests_per_minute)
        return settings

    def _start_api(self, starting: ExitStack, credentials: Credentials, port: int) -> None:
        connections = Connections()
        gate = Gate(
            RestApi(self._books, self.faults, email=credentials.email).app(),
            email=credentials.email,
            api_key=credentials.api_key,
            rate_limit=RateLimit(self._requests_per_minute),
            send_retry_after=self._send_retry_after,
            faults=self.faults,
            journal=self.journal,
            hang_up=connections.reset,
        )
        server = ApiServer(gate, connections, host=self.sftp_host, port=port)
        starting.callback(server.stop)
        host = f"[{self.sftp_host}]" if ":" in self.sftp_host else self.sftp_host
        self.api_url = f"http://{host}:{server.port}{BASE_PATH}"

    def _start_importing(self, starting: ExitStack) -> None:
        if self._import_interval_s is None:
            return
        interval_s = self._import_interval_s
        stop = threading.Event()

        def import_forever() -> None:
            while not stop.wait(interval_s):
                try:
                    self._importer.import_now()
                except (OSError, sqlite3.Error, SandboxError) as error:
                    _log.exception("the sandbox's importer has stopped")
                    self._importer_failure = error
                    return

        thread = threading.Thread(target=import_forever, name="sandbox-importer", daemon=True)
        thread.start()
        starting.callback(thread.join)
        starting.callback(stop.set)

    def _raise_importer_failure(self) -> None:
        if self._importer_failure is not None:
            raise SandboxError(
                f"the importer has stopped: {self._importer_failure}"
            ) from self._importer_failure


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
