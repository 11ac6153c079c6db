"""The inbox's SFTP server, on asyncssh, in a thread of its own. Only SFTP: no shell, no forwarding.

A client sees `files/` as its root, with `/import`, `/archive` and `/error`. RENAME behaves as on OpenSSH: it
creates the new name or fails, atomically (link, then unlink). asyncssh's own looks first and then calls
`os.rename`, which overwrites whatever came in between; and `posix-rename@openssh.com`, which overwrites by
design, is refused. `fsync@openssh.com` is offered.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import threading
from pathlib import Path

import asyncssh

from billing_pipeline.sandbox.credentials import Credentials
from billing_pipeline.sandbox.sandbox_errors import SandboxError

_STOP_TIMEOUT_S = 10


class SftpServer:
    """Serves `root` to the holder of `credentials` until `stop`. `port` is the one in use."""

    def __init__(self, root: Path, credentials: Credentials, *, host: str, port: int) -> None:
        self._root = root
        self._credentials = credentials
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sandbox-sftp", daemon=True)
        self._thread.start()
        logging.getLogger("asyncio").addFilter(self._is_news)
        try:
            self._acceptor = asyncio.run_coroutine_threadsafe(self._listen(host, port), self._loop).result()
        except OSError as error:
            self._end_loop()
            raise SandboxError(
                f"cannot listen on {host}:{port} for SFTP ({error.strerror}): choose another port"
            ) from error
        self.port: int = self._acceptor.get_port()

    def stop(self) -> None:
        """Ends every connection and the thread."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(_STOP_TIMEOUT_S)
        self._end_loop()

    async def _listen(self, host: str, port: int) -> asyncssh.SSHAcceptor:
        return await asyncssh.listen(
            host,
            port,
            server_host_keys=[self._credentials.host_key],
            server_factory=lambda: _Door(self._credentials, self._connections),
            sftp_factory=lambda channel: _Inbox(channel, chroot=os.fsencode(self._root)),
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
            line_editor=False,
        )

    async def _close(self) -> None:
        self._acceptor.close()
        open_now = list(self._connections)
        for connection in open_now:
            connection.abort()
        await asyncio.gather(
            self._acceptor.wait_closed(), *(connection.wait_closed() for connection in open_now)
        )

    def _is_news(self, record: logging.LogRecord) -> bool:
        """False for asyncio's warning that a client has hung up on us.

        asyncssh answers every request that it has read, whether anybody is there to listen or not; of a client with
        many requests under way that is a line on stderr for each, and none of them says anything.
        """
        return record.thread != self._thread.ident or record.getMessage() != "socket.send() raised exception."

    def _end_loop(self) -> None:
        # Listening resolves its address in a thread of the loop's pool, which would outlive the loop.
        pool_is_gone = asyncio.run_coroutine_threadsafe(self._loop.shutdown_default_executor(), self._loop)
        pool_is_gone.result(_STOP_TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_STOP_TIMEOUT_S)
        self._loop.close()
        logging.getLogger("asyncio").removeFilter(self._is_news)


class _Door(asyncssh.SSHServer):
    """Who is let in: one user, by password or by key."""

    def __init__(self, credentials: Credentials, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._credentials = credentials
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connections.discard(self._connection)

    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return self._knows(username) and secrets.compare_digest(
            password.encode(), self._credentials.password.encode()
        )

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return self._knows(username) and key.public_data == self._credentials.client_key.public_data

    def _knows(self, username: str) -> bool:
        return username == self._credentials.username


class _Inbox(asyncssh.SFTPServer):
    """Plain files in three fixed folders. asyncssh tells a client of an `OSError` by its status code."""

    def rename(self, oldpath: bytes, newpath: bytes) -> None:
        source, target = self.map_path(oldpath), self.map_path(newpath)
        os.link(source, target, follow_symlinks=False)
        Path(os.fsdecode(source)).unlink()

    def posix_rename(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPOpUnsupported("a rename that overwrites is not offered")

    def symlink(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("no links in the inbox")

    def link(self, oldpath: bytes, newpath: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("no links in the inbox")

    def mkdir(self, path: bytes, attrs: asyncssh.SFTPAttrs) -> None:
        raise asyncssh.SFTPPermissionDenied("the folders are fixed")

    def rmdir(self, path: bytes) -> None:
        raise asyncssh.SFTPPermissionDenied("the folders are fixed")
