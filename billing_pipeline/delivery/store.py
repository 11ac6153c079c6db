"""The content-addressed store: bytes under their own SHA-256, written once, verified whenever they are read.

It keeps what was delivered (the CSV) and what it was made of (the canonical document), on a local folder or
any fsspec URL. It knows nothing of what the bytes mean, and offers no way to change or remove them.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path
from typing import Any, Literal

import fsspec

from billing_pipeline.problems import PipelineError

Kind = Literal["csv", "document"]


class StoreError(PipelineError):
    """The store is out of reach, or does not hold what it should."""


def sha256_of(data: bytes) -> str:
    """The name of these bytes: SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class Store:
    """Bytes by kind and SHA-256 under a folder or an fsspec URL; safe for several threads and processes."""

    def __init__(self, url: str | Path) -> None:
        self._url = str(url)
        try:
            # The listings cache would hide what another process has stored since.
            filesystem, root = fsspec.core.url_to_fs(self._url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StoreError(f"BILLING_STORE_URL {self._url} cannot be opened: {error}") from error
        self._files: Any = filesystem
        self._root: str = root.rstrip("/")
        self._local = "file" in _protocols(filesystem)

    def put(self, kind: Kind, data: bytes) -> str:
        """Keep the bytes and return their SHA-256. What is there already is verified and left as it is.

        On return the bytes are on disk (local), or acknowledged by the object store. Raises: StoreError.
        """
        sha256 = sha256_of(data)
        path = self._path(kind, sha256)
        try:
            if self._files.exists(path):
                self.get(kind, sha256)
            elif self._local:
                _write_once(Path(path), data)
            else:
                self._files.pipe_file(path, data)
        except OSError as error:
            raise StoreError(f"the store {self._url} cannot keep {path}: {error}") from error
        return sha256

    def get(self, kind: Kind, sha256: str) -> bytes:
        """The bytes of that name. Raises: StoreError if they are missing, damaged or out of reach."""
        path = self._path(kind, sha256)
        try:
            data: bytes = self._files.cat_file(path)
        except FileNotFoundError as error:
            raise StoreError(
                f"the store {self._url} has no {kind} {sha256}; check BILLING_STORE_URL, or export the month again"
            ) from error
        except OSError as error:
            raise StoreError(f"the store {self._url} cannot read {path}: {error}") from error
        if sha256_of(data) != sha256:
            raise StoreError(f"{path} in the store is damaged; move it away and export the month again")
        return data

    def _path(self, kind: Kind, sha256: str) -> str:
        return f"{self._root}/{kind}/{sha256[:2]}/{sha256}"


def _protocols(filesystem: Any) -> tuple[str, ...]:
    protocol = filesystem.protocol
    return (protocol,) if isinstance(protocol, str) else tuple(protocol)


def _write_once(path: Path, data: bytes) -> None:
    """All of the file under its name or nothing, and durably; two writers write the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with unfinished.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
