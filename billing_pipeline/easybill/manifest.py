"""The manifest of a month: its exact files in a canonical form, so that one hash stands for all of them. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class ManifestFile:
    """One customer's file. `sha256` and `bytes` are those of the file itself."""

    customer_number: str
    file: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Manifest:
    """The files of a month, by customer number. The same files have the same hash, in whatever order they came."""

    month: str
    files: tuple[ManifestFile, ...]

    @cached_property
    def sha256(self) -> str:
        """The hash of the canonical JSON: keys sorted, no spaces, UTF-8."""
        said = {"month": self.month, "files": [asdict(one) for one in self.files]}
        return hashlib.sha256(canonical_json(said)).hexdigest()

    def as_json(self) -> dict[str, Any]:
        """The object of `preview --json`."""
        return {
            "month": self.month,
            "manifest": self.sha256,
            "files": [asdict(one) for one in self.files],
        }


def manifest_of(month: str, files: Iterable[ManifestFile]) -> Manifest:
    """The manifest of these files, in canonical order."""
    return Manifest(month, tuple(sorted(files, key=lambda one: (one.customer_number, one.file))))


def canonical_json(value: object) -> bytes:
    """The one form in which a value is hashed."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
