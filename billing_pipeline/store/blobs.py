"""The content-addressed store: bytes under their own SHA-256, written once, verified whenever they are read.

It keeps what was delivered (the CSV) and what it was made of (the canonical document), on a local folder or
any object store. It knows nothing of what the bytes mean, and offers no way to change or remove them. Documents are
stored compressed, under the hash of what they hold; those of a release before 0.2 are not, and are read as they are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final, Literal

from billing_pipeline.store.store_files import StoreError, StoreFiles

__all__ = ["BlobStore", "Kind", "StoreDamaged", "StoreError", "sha256_of"]

Kind = Literal["csv", "document", "rules", "layout", "report", "report_facts", "seal"]

_COMPRESSED: Final = frozenset({"document"})
_ZSTANDARD: Final = b"\x28\xb5\x2f\xfd"
"""How every frame of Zstandard begins, and no JSON does."""


class StoreDamaged(StoreError):
    """One file of the store is not what its name says: what it was for fails, and nothing else."""


def sha256_of(data: bytes) -> str:
    """The name of these bytes: SHA-256 in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


class BlobStore:
    """Bytes by kind and SHA-256 under a folder or an fsspec URL; safe for several threads and processes."""

    def __init__(self, url: str | Path) -> None:
        self._files = StoreFiles(url)

    def put(self, kind: Kind, data: bytes) -> str:
        """Keep the bytes and return their SHA-256. What is there already is verified and left as it is.

        On return the bytes are on disk (local), or acknowledged by the object store. Raises: StoreError.
        """
        sha256 = sha256_of(data)
        try:
            self._verified(kind, sha256)
        except FileNotFoundError:
            self._files.write(_path(kind, sha256), _packed(kind, data))
        return sha256

    def knows(self, kind: Kind, sha256: str) -> bool:
        """Whether there are bytes of that name, whole or not. Raises: StoreError where the store is out of reach."""
        return self._files.has(_path(kind, sha256))

    def get(self, kind: Kind, sha256: str) -> bytes:
        """The bytes of that name. Raises: StoreError if they are missing, damaged or out of reach."""
        try:
            return self._verified(kind, sha256)
        except FileNotFoundError as error:
            raise StoreError(
                f"the store {self._files.url} has no {kind} {sha256}; "
                "check BILLING_STORE_URL, or export the month again"
            ) from error

    def place(self, kind: Kind, sha256: str) -> str:
        """Where the bytes of that name are, for people."""
        return self._files.place(_path(kind, sha256))

    def has(self, kind: Kind, sha256: str) -> bool:
        """Whether the bytes of that name are there, undamaged. Raises: StoreError if the store is out of reach."""
        try:
            return self._read(kind, sha256) is not None
        except FileNotFoundError:
            return False

    def _verified(self, kind: Kind, sha256: str) -> bytes:
        data = self._read(kind, sha256)
        if data is None:
            raise StoreDamaged(
                f"{self._files.place(_path(kind, sha256))} in the store is damaged; move it away and export the "
                "month again"
            )
        return data

    def _read(self, kind: Kind, sha256: str) -> bytes | None:
        """The bytes of that name, None where they are damaged. Raises: FileNotFoundError, StoreError."""
        data = _unpacked(kind, self._files.read(_path(kind, sha256)))
        return data if sha256_of(data) == sha256 else None


def _packed(kind: Kind, data: bytes) -> bytes:
    if kind not in _COMPRESSED:
        return data
    import pyarrow as pa  # not loaded by who looks at no document

    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


def _unpacked(kind: Kind, stored: bytes) -> bytes:
    """What was packed; nothing where the stored bytes are damaged."""
    if kind not in _COMPRESSED or not stored.startswith(_ZSTANDARD):
        return stored
    import pyarrow as pa

    try:
        with pa.input_stream(pa.BufferReader(stored), compression="zstd") as stream:
            data: bytes = stream.read()
            return data
    except OSError:
        return b""


def _path(kind: Kind, sha256: str) -> str:
    # A browser opens a page by its name.
    return f"{kind}/{sha256[:2]}/{sha256}" + (".html" if kind == "report" else "")
