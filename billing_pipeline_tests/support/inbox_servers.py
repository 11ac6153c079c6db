"""Every kind of inbox that a transport reaches, as a real server on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.delivery.transports.folder import FolderTransport
from billing_pipeline.delivery.transports.protocol import Transport
from billing_pipeline_tests.support.asyncssh_server import sftp_server
from billing_pipeline_tests.support.openssh import openssh_server
from billing_pipeline_tests.support.pyftpd import pyftpd
from billing_pipeline_tests.support.vsftpd import vsftpd

SFTP = ("openssh", "asyncssh")
FTPS = ("vsftpd", "pyftpdlib", "pyftpdlib without MLST")
KINDS = ("folder", *SFTP, *FTPS)


@dataclass(frozen=True)
class InboxServer:
    """A transport, the remote folder to use, and the same folder on this machine."""

    kind: str
    transport: Transport
    remote: str
    local: Path


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[InboxServer]:
    """A server of that kind, with an empty inbox."""
    if kind == "folder":
        (folder / "share" / "import").mkdir(parents=True)
        root = folder / "share"
        yield InboxServer(kind, FolderTransport(root), "/import", root / "import")
    elif kind == "openssh":
        with openssh_server(folder / "server") as openssh:
            yield InboxServer(kind, openssh.transport(), str(openssh.inbox), openssh.inbox)
    elif kind == "asyncssh":
        (folder / "server").mkdir()
        with sftp_server(folder / "server") as asyncssh:
            yield InboxServer(kind, asyncssh.transport(), "/import", asyncssh.root / "import")
    elif kind == "vsftpd":
        with vsftpd(folder) as real:
            yield InboxServer(kind, real.transport(), str(real.inbox), real.inbox)
    else:
        without = ("MLST", "MLSD") if kind.endswith("MLST") else ()
        with pyftpd(folder, without=without) as other:
            yield InboxServer(kind, other.transport(), "/import", other.root / "import")
