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
import re
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime
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
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    MOST_NAMES,
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxRefused,
    NameTaken,
    NoSpace,
    NotFound,
    Permanent,
    PermissionRefused,
    RemoteFile,
    RenameNotDone,
    TooManyNames,
    checked_path,
)
from billing_pipeline.problems import UsageError

_BLOCK_BYTES = 32_768
_LONGEST_LIST_BYTES = 150 * MOST_NAMES
_LIST_LASTS_S = 60.0
_ABSENT = re.compile(r"no such|not found|does ?n.t exist|not exist|cannot find", re.IGNORECASE)
_EMPTY = re.compile(r"no files|no such|not found|empty", re.IGNORECASE)
_FORBIDDEN = re.compile(r"permission|denied|not allowed|not permitted|privilege", re.IGNORECASE)
_FULL = re.compile(r"no space|quota|disk full|insufficient storage", re.IGNORECASE)
_UNKNOWN_COMMAND = frozenset({"500", "501", "502", "503", "504"})
_NO_SPACE = frozenset({"452", "552"})
_NO_CONNECTION = frozenset({"421", "425", "426"})
_NO_PROTECTION = frozenset({"522", "533", "534", "535", "536", "537"})


class _Enough(Exception):
    """More bytes than anybody asked for: the transfer is left."""


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
        self._last_word = ""
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
                with self._transfer(f"STOR {path}") as channel:
                    for offset in range(0, len(data), _BLOCK_BYTES):
                        self._ftp.watchdog.start()
                        channel.sendall(data[offset : offset + _BLOCK_BYTES])
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
                return self._fetch(f"RETR {path}", at_most)
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
                return _file_of_facts(self._ftp.sendcmd(f"MLST {path}"))
            except ftplib.error_perm as refusal:
                if _says_absent(refusal):
                    return None
        try:
            return RemoteFile(self._ftp.size(path), self._modified(path))
        except ftplib.error_perm as refusal:
            if _says_absent(refusal):
                return None
        try:
            # Which every server knows, and which moves nothing by itself.
            self._ftp.sendcmd(f"RNFR {path}")
        except ftplib.error_perm as refusal:
            if _says_absent(refusal) or not self._is_listed(path, refusal, lately=lately):
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
            if above and (_says_absent(error) or not self._is_listed(above, error)):
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
            if not _says_absent(refusal) and (
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
            return _instant(self._ftp.sendcmd(f"MDTM {path}")[4:])
        except ftplib.error_perm:
            return None

    def _names_of_facts(self, directory: str) -> Iterator[str]:
        for line in self._listing(f"MLSD {directory}"):
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
            lines = self._listing(f"NLST {which}")
        except ftplib.error_perm as refusal:
            if which == "-a" or not _EMPTY.search(str(refusal)) or _FORBIDDEN.search(str(refusal)):
                raise
            return set()  # how some servers say that a directory is empty
        return {line.rpartition("/")[2] for line in lines} - {"", ".", ".."}

    def _listing(self, command: str) -> Sequence[str]:
        data = self._fetch(command, _LONGEST_LIST_BYTES)
        if "fail" in self._last_word.lower():
            # vsftpd sends an empty list of a directory that it could not open.
            raise ftplib.error_perm(self._last_word)  # noqa: S321 (nothing is called)
        if len(data) == _LONGEST_LIST_BYTES:
            raise TooManyNames(f"{self._address}, {command}: it has too many names; clear it out")
        return data.decode(errors="surrogateescape").splitlines()

    def _fetch(self, command: str, at_most: int) -> bytes:
        """What the server sends, or the first `at_most` bytes of it."""
        data = bytearray()
        self._last_word = ""
        try:
            with self._transfer(command) as channel:
                while piece := channel.recv(_BLOCK_BYTES):
                    self._ftp.watchdog.start()
                    data += piece
                    if len(data) >= at_most:
                        raise _Enough
        except _Enough:
            # The server may say that its transfer was cut off, or that it was done with it already.
            self._ftp.watchdog.start()
            with suppress(ftplib.error_temp, ftplib.error_perm):
                self._ftp.voidresp()
        return bytes(data[:at_most])

    @contextmanager
    def _transfer(self, command: str) -> Iterator[socket.socket]:
        """The data connection of a command; at the end the server's word on it is awaited."""
        try:
            with closing(self._ftp.transfercmd(command)) as channel:
                yield channel
                _end_of_data(channel)
        except OSError:
            # The server hangs up on the data in order to refuse the rest; why, it says on the control connection.
            if not self._ftp.watchdog.expired:
                self._ftp.voidresp()
            raise
        self._ftp.watchdog.start()
        self._last_word = self._ftp.voidresp()

    @contextmanager
    def _asking(self, doing: str, path: str) -> Iterator[None]:
        """Translates what goes wrong, and bounds the time."""
        checked_path(path)
        self._ftp.watchdog.start()
        try:
            yield
        except (ftplib.error_perm, ftplib.error_temp) as error:
            refusal = _error(error, f"{self._address}, {doing} {path}")
            if isinstance(refusal, ConnectionLost):
                self._ftp.watchdog.cut()
            raise refusal from error
        except BROKEN as error:
            # What arrives later would be taken for the answer to another command.
            self._ftp.watchdog.cut()
            raise lost(self._address, self._ftp.watchdog, f"{doing} {path}", error) from error
        finally:
            self._ftp.watchdog.stop()


def _end_of_data(channel: socket.socket) -> None:
    """Says goodbye on TLS's level. Many servers just hang up; the bytes are compared by whoever asked for them."""
    if isinstance(channel, ssl.SSLSocket):
        with suppress(OSError):
            channel.unwrap()


def _file_of_facts(answer: str) -> RemoteFile | None:
    """A multi-line answer to MLST: one line of `fact=value;… name`, indented by a space."""
    for line in answer.splitlines()[1:-1]:
        facts = dict(
            fact.lower().split("=", 1) for fact in line.strip().split(" ")[0].split(";") if "=" in fact
        )
        size = facts.get("size", "")
        return RemoteFile(int(size) if size.isdecimal() else None, _instant(facts.get("modify", "")))
    return RemoteFile(None, None)


def _says_absent(refusal: ftplib.error_perm) -> bool:
    """Whether the server says, in the system's own words, that there is no such file."""
    words = str(refusal)
    return bool(_ABSENT.search(words)) and not _FORBIDDEN.search(words)


def _instant(text: str) -> datetime | None:
    """`YYYYMMDDHHMMSS[.sss]`, which RFC 3659 has in UTC."""
    try:
        return datetime.strptime(text.strip().split(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _error(error: ftplib.Error, where: str) -> DeliveryError:
    """A refusal as the type that says whether another try helps."""
    answer = one_line(error)
    code = answer[:3]
    if code in _NO_SPACE or _FULL.search(answer):
        return NoSpace(f"{where}: {answer}; its disk or the account's quota is full")
    if code in _NO_CONNECTION:
        return ConnectionLost(f"{where}: {answer}")
    if code in _UNKNOWN_COMMAND:
        return Permanent(
            f"{where}: the server does not know this command ({answer}); it cannot be used as an inbox"
        )
    if code in _NO_PROTECTION:
        return InboxRefused(
            f"{where}: the server does not accept our TLS for data ({answer}); its operator must say why"
        )
    if isinstance(error, ftplib.error_temp):
        return InboxBusy(f"{where}: {answer}")
    if _ABSENT.search(answer):
        return NotFound(f"{where}: {answer}; check BILLING_REMOTE_DIR and its siblings")
    return PermissionRefused(f"{where}: {answer}; the account's rights are the server's to give")
