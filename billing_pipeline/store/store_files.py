"""Files of the store on a folder or an object store: whole or not at all, and what goes wrong in one line.

The one place that knows where the two differ. On a folder a file is written under another name, flushed to the
disk and renamed. An object store has no rename, only copy and delete, and needs none: an object appears when its
last byte has arrived, and folders and buckets are never made, for `makedirs` on S3 would make a bucket of whatever
a mistyped URL names. Nothing is cached: another process may have stored since.

What the files mean is for `store` and the store of frames.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from billing_pipeline.problems import PipelineError, UsageError, without_secrets

# The extra of this package that brings the client of a kind of store.
_EXTRAS: Final = {"s3": "s3", "s3a": "s3"}


class StoreError(PipelineError):
    """The store is out of reach, or does not hold what it should."""


class StoreUrlInvalid(StoreError, UsageError):
    """`BILLING_STORE_URL` names a kind of store that nobody knows, or whose client is not installed."""


@dataclass(frozen=True, slots=True, order=True)
class StoredFile:
    """A file of the store, and its size."""

    path: str
    size_bytes: int


class StoreFiles:
    """Files by path below a folder or an fsspec URL; safe for several threads and processes. Opens nothing yet."""

    def __init__(self, url: str | Path) -> None:
        self.url: Final = without_secrets(str(url))
        """Where it is, without a password."""
        self._filesystem: Any
        self._filesystem, root, self._is_folder = _opened(str(url), self.url)
        self._root: str = root.rstrip("/")

    def place(self, path: str) -> str:
        """Where a file lies, for people."""
        full = self._full(path)
        return full if self._is_folder else str(self._filesystem.unstrip_protocol(full))

    def has(self, path: str) -> bool:
        """Whether the file is there. Raises: StoreError."""
        with self._told("look for", path):
            return bool(self._filesystem.exists(self._full(path)))

    def read(self, path: str) -> bytes:
        """The bytes of a file. Raises: FileNotFoundError; StoreError."""
        with self._told("read", path):
            data: bytes = self._filesystem.cat_file(self._full(path))
            return data

    def write(self, path: str, data: bytes) -> None:
        """The file as a whole, in place of any of that name; a reader sees the old one or the new one.

        On return the bytes are on disk, or acknowledged by the object store. Raises: StoreError.
        """
        try:
            with self._told("keep", path):
                if self._is_folder:
                    _write_durably(Path(self._full(path)), data)
                else:
                    self._filesystem.pipe_file(self._full(path), data)
        except FileNotFoundError as error:
            raise StoreError(
                f"the store {self.url} cannot keep {path}: {error}; is the bucket there?"
            ) from error

    def remove(self, path: str) -> None:
        """The file is gone. Raises: FileNotFoundError; StoreError."""
        with self._told("remove", path):
            self._filesystem.rm_file(self._full(path))

    def list(self, folder: str) -> list[StoredFile]:
        """The files right in a folder, by path; none where it is not there. Raises: StoreError."""
        try:
            with self._told("list", folder):
                found = self._filesystem.ls(self._full(folder), detail=True)
        except FileNotFoundError:
            return []
        return sorted(
            StoredFile(f"{folder}/{one['name'].rpartition('/')[2]}", int(one["size"]))
            for one in found
            if one["type"] == "file"
        )

    def modified(self, path: str) -> datetime:
        """When the file was stored. Raises: FileNotFoundError; StoreError."""
        with self._told("look at", path):
            at: datetime = self._filesystem.modified(self._full(path))
            return at.replace(tzinfo=UTC) if at.tzinfo is None else at

    def _full(self, path: str) -> str:
        return f"{self._root}/{path}"

    @contextmanager
    def _told(self, what: str, path: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError:
            raise
        # Each kind of store has error classes of its own (botocore's, Google's, Azure's), in libraries that may not
        # be installed; all of them mean the same to whoever asked.
        except Exception as error:
            reason = without_secrets(" ".join(str(error).split())) or type(error).__name__
            check = "BILLING_STORE_URL" if self._is_folder else "BILLING_STORE_URL and its credentials"
            raise StoreError(f"the store {self.url} cannot {what} {path}: {reason}; check {check}") from error


class _Folder:
    """The files of a folder, under the names that fsspec has for these methods: to load it takes longer than `status`
    may take for its answer.
    """

    def exists(self, path: str) -> bool:
        return Path(path).exists()

    def cat_file(self, path: str) -> bytes:
        return Path(path).read_bytes()

    def rm_file(self, path: str) -> None:
        Path(path).unlink()

    def ls(self, path: str, *, detail: bool) -> list[dict[str, Any]]:
        found = []
        with os.scandir(path) as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    kind = "file" if entry.is_file(follow_symlinks=False) else "other"
                    found.append({"name": entry.path, "size": entry.stat().st_size, "type": kind})
        return found

    def modified(self, path: str) -> datetime:
        return datetime.fromtimestamp(os.lstat(path).st_mtime, UTC)


def _opened(url: str, shown: str) -> tuple[Any, str, bool]:
    """Where the files are, the path there, and whether it is a folder. Raises: StoreUrlInvalid."""
    if ":" not in url.partition("/")[0]:
        return _Folder(), str(Path(url).expanduser().absolute()), True
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    try:
        filesystem, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise StoreUrlInvalid(f"BILLING_STORE_URL {shown} cannot be opened: {_remedy(url, error)}") from error
    return filesystem, root, isinstance(filesystem, LocalFileSystem)


def _remedy(url: str, error: Exception) -> str:
    extra = _EXTRAS.get(url.partition("://")[0])
    if extra and isinstance(error, ImportError):
        return f"install its client, the extra [{extra}]: pip install 'billing-pipeline[{extra}]'"
    return str(error)


def _write_durably(path: Path, data: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        # Addresses and amounts of customers: for nobody but the owner.
        handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
