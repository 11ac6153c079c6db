"""An SFTP server on loopback that can be told to misbehave: asyncssh's, with a hook before each of its operations.

Beside the real OpenSSH it is a second opinion on the protocol; with hooks it is every bad server that the tests
need. A hook is a coroutine function that is given the `Call` and decides whether, when and how it is performed.
The kinds of faults that are made of hooks are in `faults`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

from billing_pipeline.delivery.transports.sftp import SftpTransport

HOST = "127.0.0.1"
USERNAME = "billing"


@dataclass
class Call:
    """One operation as the client asked for it. `perform` does it for real; `data` is what a write brings."""

    operation: str
    perform: Callable[[], Awaitable[Any]]
    cut: Callable[[], None]
    data: bytes = b""
    file: Any = None


Hook = Callable[[Call], Awaitable[Any]]


@dataclass
class SftpServer:
    """A running server. `root` is what its account sees as "/"; `hooks` may change at any time, by operation:
    connection, auth, open, read, write, close, fsync, stat, list, remove, rename.
    """

    root: Path
    folder: Path
    password: str
    port: int = 0
    hooks: dict[str, Hook] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    def pin(self, port: int) -> None:
        """Pins the server's key for another port too: that of a proxy before it."""
        key = (self.folder / "host_key.pub").read_text(encoding="ascii")
        with self.known_hosts.open("a", encoding="ascii") as file:
            file.write(f"[{HOST}]:{port} {key}")

    def transport(
        self, *, timeout_s: float = 2.0, password: str | None = None, port: int | None = None
    ) -> SftpTransport:
        return SftpTransport(
            host=HOST,
            port=port or self.port,
            username=USERNAME,
            password=password or self.password,
            known_hosts_file=self.known_hosts,
            timeout_s=timeout_s,
        )


async def _perform(operation: Callable[[], Any]) -> Any:
    result = operation()
    return await result if asyncio.iscoroutine(result) else result


class _Files(asyncssh.SFTPServer):
    """asyncssh's own file server with each operation passed through its hook."""

    def __init__(self, channel: asyncssh.SSHServerChannel[bytes], server: SftpServer) -> None:
        super().__init__(channel, chroot=str(server.root).encode())
        self._server = server

    async def _hooked(
        self, operation: str, perform: Callable[[], Any], *, data: bytes = b"", file: Any = None
    ) -> Any:
        self._server.calls.append(operation)
        hook = self._server.hooks.get(operation)
        if hook is None:
            return await _perform(perform)
        return await hook(Call(operation, lambda: _perform(perform), self.connection.abort, data, file))

    async def open(self, path: bytes, pflags: int, attrs: asyncssh.SFTPAttrs) -> Any:
        return await self._hooked("open", lambda: super(_Files, self).open(path, pflags, attrs))

    async def close(self, file_obj: object) -> None:
        await self._hooked("close", lambda: super(_Files, self).close(file_obj), file=file_obj)

    async def read(self, file_obj: object, offset: int, size: int) -> Any:
        return await self._hooked("read", lambda: super(_Files, self).read(file_obj, offset, size))

    async def write(self, file_obj: object, offset: int, data: bytes) -> Any:
        perform = lambda: super(_Files, self).write(file_obj, offset, data)  # noqa: E731
        return await self._hooked("write", perform, data=data, file=file_obj)

    async def fsync(self, file_obj: object) -> None:
        await self._hooked("fsync", lambda: super(_Files, self).fsync(file_obj))

    async def stat(self, path: bytes) -> Any:
        return await self._hooked("stat", lambda: super(_Files, self).stat(path))

    async def scandir(self, path: bytes) -> AsyncIterator[asyncssh.SFTPName]:
        instead = await self._hooked("list", lambda: None)
        async for name in instead or super().scandir(path):
            yield name

    async def remove(self, path: bytes) -> None:
        await self._hooked("remove", lambda: super(_Files, self).remove(path))

    async def rename(self, oldpath: bytes, newpath: bytes) -> None:
        await self._hooked("rename", lambda: super(_Files, self).rename(oldpath, newpath))


class _Login(asyncssh.SSHServer):
    """One account, by password."""

    def __init__(self, server: SftpServer) -> None:
        self._server = server
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._server.calls.append("connection")
        if "connection" in self._server.hooks:
            conn.abort()

    def password_auth_supported(self) -> bool:
        return True

    async def validate_password(self, username: str, password: str) -> bool:
        self._server.calls.append("auth")

        async def decide() -> bool:
            return username == USERNAME and password == self._server.password

        hook = self._server.hooks.get("auth")
        connection = self._connection
        if hook is None or connection is None:
            return await decide()
        return bool(await hook(Call("auth", decide, connection.abort)))


@contextmanager
def sftp_server(folder: Path, *, password: str = "correct horse") -> Iterator[SftpServer]:
    """A server whose account sees `folder/root` with `/import`, `/archive` and `/error`, in a thread of its own."""
    root = folder / "root"
    for name in ("import", "archive", "error"):
        (root / name).mkdir(parents=True)
    server = SftpServer(root, folder, password)
    host_key = asyncssh.generate_private_key("ssh-ed25519")
    host_key.write_public_key(str(folder / "host_key.pub"))
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="sftp-server", daemon=True)
    thread.start()
    listening = asyncio.run_coroutine_threadsafe(_listen(server, host_key), loop).result(10)
    server.port = listening.get_port()
    server.pin(server.port)
    try:
        yield server
    finally:
        asyncio.run_coroutine_threadsafe(_end(listening), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _listen(server: SftpServer, host_key: asyncssh.SSHKey) -> asyncssh.SSHAcceptor:
    return await asyncssh.create_server(
        lambda: _Login(server),
        HOST,
        0,
        server_host_keys=[host_key],
        sftp_factory=lambda channel: _Files(channel, server),
        # Two seconds are enough for a login on loopback, hung ones included.
        login_timeout=60,
    )


async def _end(listening: asyncssh.SSHAcceptor) -> None:
    listening.close()
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    await asyncio.sleep(0)
