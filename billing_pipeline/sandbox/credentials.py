"""The sandbox's own keys and passwords: made once, kept in files that only their owner can read.

Generated, never chosen: no credential stands in the code, and none is printed.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh

USERNAME = "sandbox"
EMAIL = "sandbox@example.com"


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What a client needs to be let in, and the server's own key. The files hold the same, for settings."""

    username: str
    password: str
    password_file: Path
    client_key_file: Path
    client_key: asyncssh.SSHKey
    host_key: asyncssh.SSHKey
    email: str
    api_key: str
    api_key_file: Path


def load_credentials(state_dir: Path) -> Credentials:
    """The credentials of `state_dir`, made where they are missing."""
    files = {name: state_dir / name for name in ("password", "client_key", "host_key", "api_key")}
    for name in ("client_key", "host_key"):
        _keep(files[name], lambda: asyncssh.generate_private_key("ssh-ed25519").export_private_key())
    for name in ("password", "api_key"):
        _keep(files[name], lambda: secrets.token_urlsafe(24).encode())
    return Credentials(
        username=USERNAME,
        password=files["password"].read_text(encoding="ascii"),
        password_file=files["password"],
        client_key_file=files["client_key"],
        client_key=asyncssh.read_private_key(files["client_key"]),
        host_key=asyncssh.read_private_key(files["host_key"]),
        email=EMAIL,
        api_key=files["api_key"].read_text(encoding="ascii"),
        api_key_file=files["api_key"],
    )


def known_hosts_line(host: str, port: int, key: asyncssh.SSHKey) -> str:
    """The line that pins `key` in a known_hosts file."""
    kind, encoded = key.export_public_key().decode("ascii").split()[:2]
    return f"{host if port == 22 else f'[{host}]:{port}'} {kind} {encoded}\n"


def replace_file(path: Path, data: bytes) -> None:
    """Writes `path` whole or not at all, readable by its owner only."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _keep(path: Path, make: Callable[[], bytes]) -> None:
    if not path.exists():
        replace_file(path, make())
