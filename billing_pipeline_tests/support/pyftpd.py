"""An FTPS server on loopback that can be told to misbehave: pyftpdlib's, with a hook before each command.

Beside the real vsftpd it is a second opinion (MLST, absolute paths in a root of its own), and with hooks it is every
bad server that the tests need. A hook is given the session and a function that does the command for real. The kinds
of faults that are made of hooks are in `faults`.
"""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme
from pyftpdlib.authorizers import DummyAuthorizer
from pyftpdlib.filesystems import AbstractedFS
from pyftpdlib.handlers import TLS_DTPHandler, TLS_FTPHandler
from pyftpdlib.servers import FTPServer

from billing_pipeline.delivery.transports.ftps import FtpsTransport

# Without a handler pyftpdlib configures logging for the whole process, to stderr.
logging.getLogger("pyftpdlib").addHandler(logging.NullHandler())
logging.getLogger("pyftpdlib").propagate = False

HOST = "127.0.0.1"
USERNAME = "billing"

Hook = Callable[[Any, Callable[[], None]], None]
FileHook = Callable[[Any, str], Any]


@dataclass
class Pyftpd:
    """A running server. `root` is what its account sees as "/".

    `hooks` may change at any time, by command ("STOR", "RNTO" …); "" is the greeting. `file_hooks` wrap the file
    that a transfer writes ("w") or reads ("r").
    """

    root: Path
    folder: Path
    password: str
    port: int = 0
    hooks: dict[str, Hook] = field(default_factory=dict)
    file_hooks: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)
    authority: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    def transport(
        self,
        *,
        timeout_s: float = 2.0,
        host: str = HOST,
        password: str | None = None,
        port: int | None = None,
        ca_file: Path | None = None,
    ) -> FtpsTransport:
        return FtpsTransport(
            host=host,
            port=port or self.port,
            username=USERNAME,
            password=password or self.password,
            ca_file=ca_file or self.ca_file,
            timeout_s=timeout_s,
        )


@contextmanager
def pyftpd(
    folder: Path,
    *,
    password: str = "correct horse",
    certificate_for: str = HOST,
    without: tuple[str, ...] = (),
) -> Iterator[Pyftpd]:
    """A server whose account sees `folder/root` with `/import`, `/archive` and `/error`, in a thread of its own.

    `without` are commands that it does not know ("MLST" and "MLSD" make it an old one).
    """
    root = folder / "root"
    for name in ("import", "archive", "error"):
        (root / name).mkdir(parents=True)
    server = Pyftpd(root, folder, password)
    server.authority.cert_pem.write_to_path(str(server.ca_file))
    certificate = folder / "server.pem"
    server.authority.issue_cert(certificate_for).private_key_and_cert_chain_pem.write_to_path(
        str(certificate)
    )
    authorizer = DummyAuthorizer()
    authorizer.add_user(USERNAME, password, str(root), perm="elradfmwMT")
    session = _session_class(server)
    session.authorizer = authorizer
    session.certfile = str(certificate)
    session.tls_control_required = session.tls_data_required = True
    session.auth_failed_timeout = 0
    session.banner = "ready"
    session.proto_cmds = {
        name: facts for name, facts in TLS_FTPHandler.proto_cmds.items() if name not in without
    }
    listening = FTPServer((HOST, 0), session)
    server.port = listening.socket.getsockname()[1]
    ended = threading.Event()
    thread = threading.Thread(target=_serve, args=(listening, ended), name="pyftpd", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        ended.set()
        thread.join(10)


def _session_class(server: Pyftpd) -> Any:
    """pyftpdlib is configured by classes: one of them for each server, so that several can run at once."""

    class Files(AbstractedFS):  # type: ignore[misc]
        def open(self, filename: str, mode: str) -> Any:
            file = super().open(filename, mode)
            wrap = server.file_hooks.get(mode[0])
            return file if wrap is None else wrap(file)

    class Data(TLS_DTPHandler):  # type: ignore[misc]
        def handle_error(self) -> None:
            """pyftpdlib means to answer with the system's reason, but stumbles over it and never answers."""
            error = sys.exc_info()[1]
            if isinstance(error, OSError):
                self._resp = (
                    f"452 {error.__cause__ or error}; transfer aborted.",
                    logging.getLogger("pyftpdlib").debug,
                )
                self.close()
            else:
                super().handle_error()

    class Session(TLS_FTPHandler):  # type: ignore[misc]
        muted = False

        def respond(self, resp: str, *arguments: Any, **options: Any) -> None:
            if not self.muted:
                super().respond(resp, *arguments, **options)

        def handle(self) -> None:
            hook = server.hooks.get("")
            if hook is None:
                super().handle()
            else:
                hook(self, super().handle)

        def process_command(self, cmd: str, *arguments: Any, **options: Any) -> None:
            server.commands.append(cmd)
            hook = server.hooks.get(cmd)
            if hook is None:
                super().process_command(cmd, *arguments, **options)
            else:
                hook(self, lambda: super(Session, self).process_command(cmd, *arguments, **options))

    Session.abstracted_fs = Files
    Session.dtp_handler = Data
    return Session


def _serve(listening: FTPServer, ended: threading.Event) -> None:
    """The loop belongs to this thread, its end too: pyftpdlib is not made for several."""
    while not ended.is_set():
        listening.ioloop.loop(timeout=0.05, blocking=False)
    listening.close_all()
