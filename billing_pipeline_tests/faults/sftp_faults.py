"""The kinds of faults of an SFTP server: asyncssh's, with hooks, behind a proxy."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
from dataclasses import replace
from typing import Any, Final

import asyncssh

from billing_pipeline_tests.faults.server_faults import (
    Kind,
    Setting,
    any_servers_kinds,
    with_temporary_files_removed,
)
from billing_pipeline_tests.faults.world import Account
from billing_pipeline_tests.support.asyncssh_server import USERNAME, Call, Hook, SftpServer

SftpSetting = Setting[SftpServer]


def account(server: SftpServer, port: int) -> Account:
    """The server's account, by way of a proxy."""
    return Account("sftp", port, USERNAME, server.known_hosts, password=server.password)


async def hang(_: Call) -> None:
    await asyncio.sleep(3_600)


async def do_and_hang(call: Call) -> None:
    await call.perform()
    await asyncio.sleep(3_600)


async def cut(call: Call) -> None:
    call.cut()


async def do_and_cut(call: Call) -> Any:
    result = await call.perform()
    call.cut()
    return result


async def slowly(call: Call) -> Any:
    await asyncio.sleep(0.02)
    return await call.perform()


async def say_it_is_done(call: Call) -> int:
    """Confirms a write and drops it."""
    return len(call.data)


async def say_it_is_renamed(_: Call) -> None:
    """Confirms a rename and does not do it."""


async def late(call: Call) -> Any:
    await asyncio.sleep(0.05)
    return await call.perform()


async def lose_the_end(call: Call) -> None:
    """What was confirmed is not kept: half of the file is gone when it is closed."""
    if call.file is not None and "+" not in call.file.mode and call.file.writable():
        os.ftruncate(call.file.fileno(), os.fstat(call.file.fileno()).st_size // 2)
    await call.perform()


async def lose_the_end_and_say_so(call: Call) -> None:
    """A quota that is enforced late."""
    writing = call.file is not None and call.file.writable()
    await lose_the_end(call)
    if writing:
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


async def flip_a_bit(call: Call) -> Any:
    result = await call.perform()
    if call.file is not None and call.data:
        os.pwrite(call.file.fileno(), bytes([call.data[0] ^ 1]), 0)
    return result


async def first_half(call: Call) -> bytes:
    data: bytes = await call.perform()
    if len(data) <= 1:
        raise asyncssh.SFTPEOFError
    return data[: len(data) // 2] if secrets.randbelow(2) else b""


async def other_bytes(call: Call) -> bytes:
    data: bytes = await call.perform()
    return data[:-1] + bytes([data[-1] ^ 1]) if data else data


async def a_byte_at_a_time(call: Call) -> bytes:
    await asyncio.sleep(0.1)
    data: bytes = await call.perform()
    return data[:1]


async def more_than_there_is(_: Call) -> bytes:
    return b"x" * 32_768


async def without_size(call: Call) -> asyncssh.SFTPAttrs:
    await call.perform()
    return asyncssh.SFTPAttrs()


async def no(_: Call) -> bool:
    return False


def fail(error: Exception) -> Hook:
    async def failing(_: Call) -> None:
        raise error

    return failing


def hooked(name: str, **hooks: Hook) -> Kind[SftpServer]:
    """A kind that is made of hooks alone."""

    def begin(setting: SftpSetting) -> None:
        setting.server.hooks.update(hooks)

    return Kind(name, begin, lambda setting: setting.server.hooks.clear())


def _directory_gone_before_the_rename(setting: SftpSetting) -> None:
    """A file system that is unmounted under the server: what was written is not there, and nothing else either."""
    absent = fail(ABSENT)

    async def unmount(call: Call) -> None:
        setting.server.hooks.update(dict.fromkeys(("open", "stat", "rename", "remove", "list"), absent))
        raise ABSENT

    setting.server.hooks["rename"] = unmount


DENIED = asyncssh.SFTPPermissionDenied("Permission denied")
ABSENT = asyncssh.SFTPNoSuchFile("No such file")
FAILURE = asyncssh.SFTPFailure("Failure")

KINDS: Final[tuple[Kind[SftpServer], ...]] = (
    hooked("no space in a write", write=fail(OSError(errno.ENOSPC, "No space left on device"))),
    hooked("quota exceeded in a write", write=fail(OSError(errno.EDQUOT, "Disk quota exceeded"))),
    hooked("quota told at close, the end of the file lost", close=lose_the_end_and_say_so),
    hooked("bytes dropped, every write confirmed", write=say_it_is_done),
    hooked("the end of the file lost at close, nothing said", close=lose_the_end),
    hooked("a bit flipped while writing", write=flip_a_bit),
    hooked("open denied", open=fail(DENIED)),
    hooked("open fails", open=fail(FAILURE)),
    hooked("hang in open", open=hang),
    hooked("hang in a write", write=hang),
    hooked("hang in fsync", fsync=hang),
    hooked("hang in close", close=hang),
    hooked("hang in the read-back", read=hang),
    hooked("hang in stat", stat=hang),
    hooked("hang in rename, not done", rename=hang),
    hooked("rename done, then a hang: the reply lost", rename=do_and_hang),
    hooked("rename done, connection cut: the reply lost", rename=do_and_cut),
    hooked("connection cut before the rename", rename=cut),
    hooked("rename denied", rename=fail(DENIED)),
    hooked("rename fails", rename=fail(FAILURE)),
    with_temporary_files_removed(hooked("rename denied", rename=fail(DENIED))),
    with_temporary_files_removed(
        replace(hooked("rename fails, no archive known", rename=fail(FAILURE)), archive_known=False)
    ),
    hooked("rename confirmed, not done", rename=say_it_is_renamed),
    hooked("rename done late, the look comes first", rename=late),
    hooked("rename not known", rename=fail(asyncssh.SFTPOpUnsupported("Operation unsupported"))),
    hooked("connection reset after open", open=do_and_cut),
    hooked("connection reset in a write", write=cut),
    hooked("connection reset in close", close=do_and_cut),
    hooked("connection reset in the read-back", read=cut),
    hooked("truncated read-back", read=first_half),
    hooked("other bytes read back", read=other_bytes),
    hooked("the read-back never ends", read=more_than_there_is),
    replace(hooked("the read-back comes a byte at a time", read=a_byte_at_a_time), never_ends=True),
    hooked("reading denied", read=fail(DENIED)),
    hooked("no size in stat", stat=without_size),
    hooked("stat denied", stat=fail(DENIED)),
    hooked("list denied", list=fail(DENIED)),
    hooked("remove denied", remove=fail(DENIED)),
    hooked("fsync not known to the file system", fsync=fail(asyncssh.SFTPOpUnsupported("no"))),
    hooked("fsync fails", fsync=fail(OSError(errno.EIO, "Input/output error"))),
    hooked(
        "slow: 20 ms for every request", **dict.fromkeys(("open", "write", "read", "stat", "rename"), slowly)
    ),
    hooked("login hangs", auth=hang),
    hooked("login refused", auth=no),
    hooked("connection ended before the login", connection=cut),
    hooked("directory missing", **dict.fromkeys(("open", "stat", "rename", "remove", "list"), fail(ABSENT))),
    Kind(
        "directory gone before the rename",
        _directory_gone_before_the_rename,
        lambda setting: setting.server.hooks.clear(),
    ),
    *any_servers_kinds(SftpServer),
)
