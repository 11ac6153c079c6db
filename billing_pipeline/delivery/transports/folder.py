"""The `folder` transport: an inbox that is a directory of this machine, such as a mounted share.

A remote path is taken below the root,
as if that were a server's. Nothing here retries; a share that hangs, hangs: the operating system has no
time-out for it.

Renaming never overwrites. On Linux that is `renameat2(RENAME_NOREPLACE)`, one step in which nothing can
die. Where the file system does not know it (NFS), `link` and `unlink` do the same in two: who died in between leaves
the file with both names, and recovery asks (`renames_in_one_step`). Where there are
no hard links either (some CIFS shares), the target is looked up first; then two writers of the same name
could meet, and the ledger's compare-and-set alone decides that there is one.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any, Final

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.protocol import (
    MOST_BYTES,
    MOST_NAMES,
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxConnection,
    InboxUnavailable,
    NameRefused,
    NameTaken,
    NoSpace,
    NotFound,
    PermissionRefused,
    RemoteFile,
    RenameNotDone,
    TooManyNames,
    checked_path,
)

_ERRORS: Final[dict[int, type[DeliveryError]]] = {
    errno.EEXIST: NameTaken,
    errno.ENOENT: NotFound,
    errno.ENOTDIR: NotFound,
    errno.EACCES: PermissionRefused,
    errno.EPERM: PermissionRefused,
    errno.EROFS: PermissionRefused,
    errno.EISDIR: NameRefused,
    errno.EINVAL: NameRefused,
    errno.ENAMETOOLONG: NameRefused,
    errno.ELOOP: NameRefused,
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EFBIG: NoSpace,
    errno.EBUSY: InboxBusy,
    errno.EAGAIN: InboxBusy,
}
_NOT_SUPPORTED: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK})
_AT_FDCWD: Final = -100
_RENAME_NOREPLACE: Final = 1


class FolderTransport:
    """An inbox below a folder of this machine; usable from any thread."""

    name = "folder"

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def address(self) -> str:
        """`folder:/mnt/share`."""
        return f"folder:{self._root}"

    @contextmanager
    def connect(self) -> Iterator[InboxConnection]:
        """The folder. Raises: InboxUnavailable if it is not there, as when a share is not mounted."""
        if not self._root.is_dir():
            raise InboxUnavailable(f"{self.address} is not there; mount the share, or check BILLING_FOLDER")
        yield FolderInbox(self._root, self.address)


class FolderInbox:
    """The folder, as `protocol.InboxConnection` describes it."""

    def __init__(self, root: Path, address: str) -> None:
        self._root = root
        self._address = address

    def stat(self, path: str) -> RemoteFile | None:
        """The file, None if there is none."""
        with self._asking("looking for", path) as file:
            try:
                found = file.stat(follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                return None
        return RemoteFile(found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def create(self, path: str, data: bytes, *, unless: Sequence[str] = ()) -> str | None:
        """Write a new file whole, and have it on disk before this returns."""
        for other in unless:
            if self.stat(other) is not None:
                return other
        with self._asking("creating", path) as file:
            handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            with os.fdopen(handle, "wb") as opened:
                opened.write(data)
                opened.flush()
                os.fsync(opened.fileno())
            _sync_directory(file.parent)
        return None

    def finish_by(self, deadline: Deadline) -> None:
        """Takes no notice: the operating system cannot be interrupted."""

    def read(self, path: str, at_most: int = MOST_BYTES) -> bytes:
        """The file's bytes, of a longer one the first `at_most`."""
        with self._asking("reading", path) as file, file.open("rb") as opened:
            return opened.read(at_most)

    def rename(self, source: str, target: str) -> None:
        """Move, never over an existing file (see the module for how far that holds)."""
        with self._asking("renaming", source) as old, self._asking("renaming to", target) as new:
            _rename_new(old, new)
            try:
                _sync_directory(new.parent)
            except OSError as error:
                raise ConnectionLost(
                    f"{self._address}, renaming {source}: it was renamed, and whether that is on disk is not known "
                    f"({error.strerror}); see to the folder"
                ) from error
            if old.is_symlink() or old.exists():
                raise RenameNotDone(
                    f"{self._address} renamed {source} to {target}, and it is still there; see to the folder"
                )

    def renames_in_one_step(self, directory: str) -> bool:
        """Tried out: the file system alone knows."""
        token = secrets.token_hex(8)
        with self._asking("trying a rename in", directory) as folder:
            first, second = (folder / f".rename.{token}.{part}.tmp" for part in ("a", "b"))
            try:
                first.touch(exist_ok=False)
                return _one_step(first, second)
            finally:
                first.unlink(missing_ok=True)
                second.unlink(missing_ok=True)

    def remove(self, path: str) -> None:
        """Remove a file; an absent one is fine."""
        with self._asking("removing", path) as file:
            file.unlink(missing_ok=True)

    def list(self, directory: str) -> list[str]:
        """The names in a directory, sorted."""
        with self._asking("listing", directory) as folder, os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, MOST_NAMES + 1)]
        if len(names) > MOST_NAMES:
            raise TooManyNames(
                f"{self._address}, listing {directory}: it has more than {MOST_NAMES} names; clear it out"
            )
        return sorted(names)

    @contextmanager
    def _asking(self, doing: str, path: str) -> Iterator[Path]:
        """The local path; what the system says of it becomes an error of the inbox's."""
        local = self._root / checked_path(path).lstrip("/")
        try:
            yield local
        except OSError as error:
            kind = _ERRORS.get(error.errno or 0, ConnectionLost)
            raise kind(f"{self._address}, {doing} {path}: {error.strerror}; see to the folder") from error


def _rename_new(source: Path, target: Path) -> None:
    try:
        if _rename_noreplace(source, target):
            return
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        if target.is_symlink() or target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from error
        source.rename(target)
    else:
        try:
            source.unlink()
        except OSError as error:
            # The target is there: whatever is said of the source, the file is published.
            raise OSError(errno.EIO, f"it has both names now ({error.strerror})", str(source)) from error


def _one_step(source: Path, target: Path) -> bool:
    """Whether `_rename_new` moves by one call. Moves, or links, or neither."""
    try:
        if _rename_noreplace(source, target):
            return True
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
    try:
        target.hardlink_to(source)
    except OSError as error:
        if error.errno not in _NOT_SUPPORTED:
            raise
        return True
    return False


@cache
def _renameat2() -> Any:
    """The C library's function, None where it has none."""
    try:
        return ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):
        return None


def _rename_noreplace(source: Path, target: Path) -> bool:
    """Move in one step, if the target is not there. False if this system cannot. Raises: OSError."""
    function = _renameat2()
    if function is None:
        return False
    if function(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source))
    return True


def _sync_directory(directory: Path) -> None:
    """The name on disk, not only the bytes."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
