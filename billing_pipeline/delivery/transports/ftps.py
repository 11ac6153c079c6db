"""The `ftps` transport: an inbox reached by FTP under explicit TLS, with the standard library.

What FTP cannot promise, and SFTP can: there is no create-if-absent. STOR and RNTO overwrite, so the name is looked up
first, and between the look and the act somebody else may take it; that our own runs never do is the ledger's doing
(a temporary name is used once, a final name has one holder of the token). A server confirms a whole upload, not each
write, and cannot be asked to sync. Answers are words: 550 and 530 mean absent, forbidden and much else, in whatever
language. A file is absent only where the server says so in the system's own words ("No such file"), or where a listing
of its directory does not have it; else it cannot be told, and is an error. SFTP is the safer choice.

Time: each answer, and each block of a transfer, comes within `timeout_s`, or the connection is given up. The caller
sets a deadline over all that is asked about a file (`finish_by`).
"""

from __future__ import annotations

import ftplib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.ftps_connection import (
    BROKEN,
    Account,
    Ftp,
    ftps_connection,
    lost,
    one_line,
    verifying_context,
)
from billing_pipeline.delivery.transports.ftps_data import DataConnections
from billing_pipeline.delivery.transports.ftps_replies import (
    error_of,
    file_of_facts,
    instant,
    says_absent,
    says_empty,
)
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    ConnectionLost,
    NameTaken,
    NotFound,
    PermissionRefused,
    RemoteFile,
    RenameNotDone,
    checked_path,
)
from billing_pipeline.problems import UsageError

_LIST_LASTS_S = 60.0


class FtpsTransport:
    """Connects to one FTPS account. Holds no connection itself; usable from any thread.

    Raises: UsageError if the file of authorities, or a credential, cannot be used; no server has been asked by then.
    """

    name = "ftps"

    def __init__(
        self,
        *,
        host: str,
        username: str,
        password: str,
        port: int = 21,
        ca_file: Path | None = None,
        timeout_s: float = 30.0,
    ) -> None:
        for setting, value in (("BILLING_FTPS_USERNAME", username), ("BILLING_FTPS_PASSWORD", password)):
            if "\r" in value or "\n" in value:
                raise UsageError(f"{setting} holds a line break, which FTP cannot carry; remove it")
        self._account = Account(host, port, username, password)
        self.context = verifying_context(ca_file)
        self._timeout_s = timeout_s

    @property
    def address(self) -> str:
        """`ftps://user@host:port`."""
        return self._account.address

    @contextmanager
    def connect(self) -> Iterator[FtpsInbox]:
        """A connection of its own, closed at the end of the context. Raises: as `ftps_connection`."""
        with ftps_connection(self._account, self.context, self._timeout_s) as ftp:
            yield FtpsInbox(ftp, self._account.address)


class FtpsInbox:
    """One open connection, as `protocol.InboxConnection` describes it, as far as FTP can keep it (see the module)."""

    def __init__(self, ftp: Ftp, address: str) -> None:
        self._ftp = ftp
        self._address = address
        self._data = DataConnections(ftp, address)
        self._listed: dict[str, tuple[Deadline, frozenset[str]]] = {}
        with self._asking("asking what the server can do", "/"):
            self.features = self._ask_features()
            """What the server offers (FEAT), in capitals, for `doctor`."""

    def stat(self, path: str) -> RemoteFile | None:
        """The file, None if there is none."""
        with self._asking("looking for", path):
            return self._look(path)

    def create(self, path: str, data: bytes, *, unless: Sequence[str] = ()) -> str | None:
        """Look that the name is free, then write the file whole; the server's word at the end confirms it."""
        directory = path.rpartition("/")[0]
        for other in unless:
            with self._asking("looking for", other):
                # The receiver's archive may be long, and nothing of ours comes into it by us.
                if self._look(other, lately=other.rpartition("/")[0] != directory) is not None:
                    return other
        with self._asking("creating", path):
            if self._look(path) is not None:
                raise NameTaken(f"{path} exists already on {self._address}; it was left untouched")
            try:
                self._data.send(f"STOR {path}", data)
            except ftplib.error_perm as refusal:
                if refusal.args[0][:3] in {"550", "553"}:
                    self._enter(path.rpartition("/")[0] or "/")
                raise
        return None

    def finish_by(self, deadline: Deadline) -> None:
        """One deadline over all that follows."""
        self._ftp.watchdog.limit = deadline

    def read(self, path: str, at_most: int = MOST_BYTES) -> bytes:
        """The file's bytes, of a longer one the first `at_most`."""
        with self._asking("reading", path):
            try:
                return self._data.fetch(f"RETR {path}", at_most)
            except ftplib.error_perm as refusal:
                self._raise_if_absent(path, refusal)
                raise

    def rename(self, source: str, target: str) -> None:
        """RNFR and RNTO, after a look that the target is free: the server itself would overwrite it."""
        checked_path(target)
        with self._asking("renaming", source):
            if self._look(target) is not None:
                raise NameTaken(f"{target} exists already on {self._address}; {source} was not renamed")
            try:
                self._ftp.rename(source, target)
            except ftplib.error_perm as refusal:
                self._raise_if_absent(source, refusal)
                raise
            try:
                there = self._look(source) is not None
            except ftplib.error_perm as refusal:
                there = True
                doubt = f"hidden ({one_line(refusal)})"
            else:
                doubt = "still there"
            if there:
                raise RenameNotDone(
                    f"{self._address} confirmed the rename of {source} to {target}, but the old name is {doubt}"
                )

    def renames_in_one_step(self, directory: str) -> bool:
        """Yes: the server renames, and does not die with us."""
        return True

    def remove(self, path: str) -> None:
        """Remove a file; an absent one is fine."""
        with self._asking("removing", path):
            try:
                self._ftp.voidcmd(f"DELE {path}")
            except ftplib.error_perm:
                if self._look(path) is not None:
                    raise

    def list(self, directory: str) -> list[str]:
        """The names in a directory, sorted. A server without MLSD may leave out names that begin with a dot."""
        with self._asking("listing", directory):
            # The list of what is not there is empty on some servers, and an error of any number on others.
            self._enter(directory)
            names = self._names_of_facts(directory) if "MLST" in self.features else self._names(directory)
            return sorted(names)

    def _ask_features(self) -> frozenset[str]:
        try:
            lines = self._ftp.sendcmd("FEAT").splitlines()[1:-1]
            features = frozenset(line.split()[0].upper() for line in lines if line.strip())
        except ftplib.error_perm:
            return frozenset()
        if "UTF8" in features:
            # The norm has it on without asking; some servers want to be asked.
            with suppress(ftplib.error_perm):
                self._ftp.sendcmd("OPTS UTF8 ON")
        return features

    def _look(self, path: str, *, lately: bool = False) -> RemoteFile | None:
        """The file, None if it is proven to be absent; `lately`: a listing of the last minute will do."""
        if "MLST" in self.features:
            try:
                return file_of_facts(self._ftp.sendcmd(f"MLST {path}"))
            except ftplib.error_perm as refusal:
                if says_absent(refusal):
                    return None
        try:
            return RemoteFile(self._ftp.size(path), self._modified(path))
        except ftplib.error_perm as refusal:
            if says_absent(refusal):
                return None
        try:
            # Which every server knows, and which moves nothing by itself.
            self._ftp.sendcmd(f"RNFR {path}")
        except ftplib.error_perm as refusal:
            if says_absent(refusal) or not self._is_listed(path, refusal, lately=lately):
                return None
        return RemoteFile(None, None)

    def _is_listed(self, path: str, refusal: ftplib.error_perm, *, lately: bool = False) -> bool:
        """Whether the path's directory has its name; one that is absent itself has none.

        Raises: PermissionRefused where no directory above can be listed, and it cannot be told.
        """
        above, _, name = path.rpartition("/")
        directory = above or "/"
        until, names = self._listed.get(directory, (Deadline(0), frozenset[str]()))
        if lately and not until.is_over:
            return name in names
        try:
            self._ftp.voidcmd(f"CWD {directory}")
        except ftplib.error_perm as error:
            if above and (says_absent(error) or not self._is_listed(above, error)):
                return False
            raise self._cannot_be_told(path, refusal) from error
        try:
            names = frozenset(self._all_names(directory))
        except ftplib.error_perm as error:
            raise self._cannot_be_told(path, refusal) from error
        self._listed[directory] = (Deadline(_LIST_LASTS_S), names)
        return name in names

    def _cannot_be_told(self, path: str, refusal: ftplib.error_perm) -> PermissionRefused:
        return PermissionRefused(
            f"whether {path} is on {self._address} cannot be told: the server says {one_line(refusal)}, and its "
            "directory cannot be listed; give the account the right to list it"
        )

    def _raise_if_absent(self, path: str, refusal: ftplib.error_perm) -> None:
        """NotFound if that is what the refusal comes from: "550" has many reasons, and servers' words differ."""
        if self._look(path) is None:
            raise NotFound(f"{path} is not on {self._address} ({one_line(refusal)})") from refusal

    def _enter(self, directory: str) -> None:
        try:
            self._ftp.voidcmd(f"CWD {directory}")
        except ftplib.error_perm as refusal:
            if not says_absent(refusal) and (
                directory == "/" or self._is_listed(directory.rstrip("/"), refusal)
            ):
                raise
            raise NotFound(
                f"{directory} is not on {self._address} ({one_line(refusal)}); check BILLING_REMOTE_DIR and its "
                "siblings"
            ) from refusal

    def _modified(self, path: str) -> datetime | None:
        if "MDTM" not in self.features:
            return None
        try:
            return instant(self._ftp.sendcmd(f"MDTM {path}")[4:])
        except ftplib.error_perm:
            return None

    def _names_of_facts(self, directory: str) -> Iterator[str]:
        for line in self._data.lines(f"MLSD {directory}"):
            facts, _, name = line.partition(" ")
            if "type=cdir" not in facts.lower() and "type=pdir" not in facts.lower():
                yield name

    def _all_names(self, directory: str) -> set[str]:
        """The names in the directory that was entered, with those that begin with a dot wherever it can be had."""
        if "MLST" in self.features:
            with suppress(ftplib.error_perm):
                return set(self._names_of_facts(directory))
        with suppress(ftplib.error_perm):
            return self._names("-a")
        return self._names(directory)

    def _names(self, which: str) -> set[str]:
        try:
            names = {line.rpartition("/")[2] for line in self._data.lines(f"NLST {which}")}
        except ftplib.error_perm as refusal:
            if which == "-a" or not says_empty(refusal):
                raise
            return set()
        return names - {"", ".", ".."}

    @contextmanager
    def _asking(self, doing: str, path: str) -> Iterator[None]:
        """Translates what goes wrong, and bounds the time."""
        checked_path(path)
        self._ftp.watchdog.start()
        try:
            yield
        except (ftplib.error_perm, ftplib.error_temp) as error:
            refusal = error_of(error, f"{self._address}, {doing} {path}")
            if isinstance(refusal, ConnectionLost):
                self._ftp.watchdog.cut()
            raise refusal from error
        except BROKEN as error:
            # What arrives later would be taken for the answer to another command.
            self._ftp.watchdog.cut()
            raise lost(self._address, self._ftp.watchdog, f"{doing} {path}", error) from error
        finally:
            self._ftp.watchdog.stop()
