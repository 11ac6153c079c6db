"""The kinds of faults of an FTPS server: pyftpdlib's, with hooks, behind a proxy for its control connection."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from billing_pipeline_tests.faults.server_faults import (
    Kind,
    Setting,
    any_servers_kinds,
    with_stranger,
    with_temporary_files_removed,
)
from billing_pipeline_tests.faults.world import Account
from billing_pipeline_tests.support.pyftpd import USERNAME, Hook, Pyftpd

FtpsSetting = Setting[Pyftpd]
Perform = Callable[[], None]


def account(server: Pyftpd, port: int) -> Account:
    """The server's account, by way of a proxy."""
    return Account("ftps", port, USERNAME, server.ca_file, password=server.password)


def hang(session: Any, perform: Perform) -> None:
    """No answer, ever."""


def do_and_hang(session: Any, perform: Perform) -> None:
    session.muted = True
    perform()


def cut(session: Any, perform: Perform) -> None:
    session.close()


def do_and_cut(session: Any, perform: Perform) -> None:
    session.muted = True
    perform()
    session.close()


def slowly(session: Any, perform: Perform) -> None:
    time.sleep(0.01)
    perform()


def answer(text: str) -> Hook:
    def answering(session: Any, perform: Perform) -> None:
        session.respond(text)

    return answering


class Lossy:
    """A file whose server drops, changes or refuses what it is given, after its first bytes."""

    def __init__(
        self, file: Any, *, change: Callable[[bytes], bytes] | None = None, full: bool = False
    ) -> None:
        self._file, self._change, self._full = file, change, full
        self.name, self.closed = file.name, False

    def write(self, data: bytes) -> int:
        if self._full:
            self._file.write(data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")
        self._file.write(self._change(data) if self._change else data)
        return len(data)

    def read(self, *size: int) -> bytes:
        data: bytes = self._file.read(*size)
        return self._change(data) if self._change and data else data

    def seek(self, *where: int) -> int:
        return int(self._file.seek(*where))

    def close(self) -> None:
        self.closed = True
        self._file.close()


class Endless:
    """A file that has a piece more whenever it is asked."""

    def __init__(self, file: Any, piece: bytes, pause_s: float = 0.0) -> None:
        self._file, self._piece, self._pause_s = file, piece, pause_s
        self.name, self.closed = file.name, False

    def read(self, *size: int) -> bytes:
        time.sleep(self._pause_s)
        return self._piece

    def close(self) -> None:
        self.closed = True
        self._file.close()


def hooked(name: str, **hooks: Hook) -> Kind[Pyftpd]:
    """A kind that is made of hooks on commands alone."""

    def begin(setting: FtpsSetting) -> None:
        setting.server.hooks.update(hooks)

    return Kind(name, begin, lambda setting: setting.server.hooks.clear())


def lossy(name: str, mode: str, wrap: Callable[[Any], Any]) -> Kind[Pyftpd]:
    """A kind that is made of what the server's files do."""

    def begin(setting: FtpsSetting) -> None:
        setting.server.file_hooks[mode] = wrap

    return Kind(name, begin, lambda setting: setting.server.file_hooks.clear())


def _flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


def _directory_gone_before_the_rename(setting: FtpsSetting) -> None:
    """A file system that is unmounted under the server: what was written is not there, and nothing else either."""
    absent = answer("550 No such file or directory.")

    def unmount(session: Any, perform: Perform) -> None:
        setting.server.hooks.update(
            dict.fromkeys(("RNFR", "MLST", "SIZE", "CWD", "MLSD", "NLST", "STOR", "RETR", "DELE"), absent)
        )
        session.respond("550 No such file or directory.")

    setting.server.hooks["RNTO"] = unmount


REFUSALS = ("550 Zugriff verweigert.", "530 Not logged in.")

KINDS: Final[tuple[Kind[Pyftpd], ...]] = (
    lossy("no space in a transfer", "w", lambda file: Lossy(file, full=True)),
    hooked("storage refused (452)", STOR=answer("452 Insufficient storage space.")),
    hooked("quota exceeded (552)", STOR=answer("552 Exceeded storage allocation.")),
    lossy(
        "bytes dropped, the transfer confirmed",
        "w",
        lambda file: Lossy(file, change=lambda data: data[: len(data) // 2]),
    ),
    lossy("a bit flipped while writing", "w", lambda file: Lossy(file, change=_flip)),
    lossy("other bytes read back", "r", lambda file: Lossy(file, change=_flip)),
    lossy("truncated read-back", "r", lambda file: Lossy(file, change=lambda data: data[: len(data) // 2])),
    lossy("the read-back never ends", "r", lambda file: Endless(file, b"x" * 32_768)),
    # The server has one thread for all of its files.
    replace(
        lossy("the read-back comes a byte at a time", "r", lambda file: Endless(file, b"x", pause_s=0.02)),
        never_ends=True,
    ),
    hooked("upload denied", STOR=answer("550 Permission denied.")),
    hooked("reading denied", RETR=answer("550 Permission denied.")),
    hooked("looking denied", MLST=answer("550 Permission denied."), SIZE=answer("550 Permission denied.")),
    hooked("no size told", MLST=answer("500 Unknown command."), SIZE=answer("500 Unknown command.")),
    hooked("rename refused", RNTO=answer("550 Rename failed.")),
    with_temporary_files_removed(hooked("rename refused", RNTO=answer("550 Rename failed."))),
    hooked("rename confirmed, not done", RNTO=answer("250 Renaming ok.")),
    *(
        hooked(f"looks refused, {text}", **dict.fromkeys(("MLST", "SIZE", "RNFR"), answer(text)))
        for text in REFUSALS
    ),
    *(
        with_stranger(
            hooked(f"looks refused, {text}", **dict.fromkeys(("MLST", "SIZE", "RNFR"), answer(text)))
        )
        for text in REFUSALS
    ),
    *(
        hooked(
            f"looks and lists refused, {text}",
            **dict.fromkeys(("MLST", "SIZE", "RNFR", "MLSD", "NLST"), answer(text)),
        )
        for text in REFUSALS
    ),
    hooked("rename busy", RNTO=answer("450 File busy.")),
    hooked("delete denied", DELE=answer("550 Permission denied.")),
    hooked("hang in the upload", STOR=hang),
    hooked("hang after the upload", STOR=do_and_hang),
    hooked("hang in rename, not done", RNTO=hang),
    hooked("rename done, then a hang: the reply lost", RNTO=do_and_hang),
    hooked("rename done, connection cut: the reply lost", RNTO=do_and_cut),
    hooked("connection cut before the rename", RNTO=cut),
    hooked("connection cut in the upload", STOR=cut),
    hooked(
        "no data connection (425)", EPSV=answer("425 Can't open data connection."), PASV=answer("425 No.")
    ),
    hooked("too many users (421)", **{"": answer("421 Too many users.")}),
    hooked("login refused", PASS=answer("530 Login incorrect.")),
    hooked("login hangs", PASS=hang),
    hooked("TLS refused", AUTH=answer("502 Not here.")),
    hooked("protected data refused", PROT=answer("536 Not here.")),
    hooked(
        "slow: 10 ms for every command",
        **dict.fromkeys(("STOR", "RETR", "MLST", "RNFR", "RNTO", "EPSV"), slowly),
    ),
    Kind(
        "directory gone before the rename",
        _directory_gone_before_the_rename,
        lambda setting: setting.server.hooks.clear(),
    ),
    *any_servers_kinds(Pyftpd),
)
