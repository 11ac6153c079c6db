"""Keys for SFTP, read from files: the server's pinned host keys, and our own private key.

Files in, paramiko keys out; whoever connects decides what to do with them (`sftp`). There is no way to trust a
server by its first answer: a host without an entry has no pinned key.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from paramiko import ECDSAKey, Ed25519Key, HostKeys, PasswordRequiredException, PKey, RSAKey, SSHException
from paramiko.hostkeys import HostKeyEntry, InvalidHostKey

from billing_pipeline.problems import UsageError

_SSH_PORT = 22


def known_hosts_name(host: str, port: int) -> str:
    """The name under which OpenSSH keeps a server in known_hosts: `host`, or `[host]:port` on another port than 22."""
    return host.lower() if port == _SSH_PORT else f"[{host.lower()}]:{port}"


def pinned_host_keys(known_hosts: Path, host: str, port: int) -> tuple[PKey, ...]:
    """Every key that the file pins for this server, of any type, without those marked `@revoked`.

    Names may be hashed. Patterns (`*.example.com`) and certificate authorities are not taken: a pin is a key. What is
    revoked is revoked as OpenSSH means it: by name, hashed name or pattern, and on every port.

    Raises: UsageError if the file cannot be read, or a line about this server is damaged.
    """
    name = known_hosts_name(host, port)
    try:
        lines = known_hosts.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"BILLING_SFTP_KNOWN_HOSTS_FILE: cannot read {known_hosts} ({_reason(error)}); it must be a known_hosts "
            f"file with the key of {name}"
        ) from error
    pinned: list[PKey] = []
    revoked: list[PKey] = []
    for number, marker, fields in _entries(lines):
        if marker == "@revoked":
            about_us = _pattern_names_host(fields[0], name) or _pattern_names_host(fields[0], host.lower())
        else:
            about_us = _names_host(fields[0], name)
        if not about_us:
            continue
        key = _key(fields, f"line {number} of {known_hosts}", name)
        if key is not None:
            {"": pinned, "@revoked": revoked}.get(marker, []).append(key)
    return tuple(key for key in pinned if key not in revoked)


def load_private_key(path: Path, passphrase: str | None) -> PKey:
    """The private key of a file: Ed25519, ECDSA or RSA, in OpenSSH's or the older PEM format.

    paramiko's own `PKey.from_path` refuses every passphrase that is text (5.1), hence one kind after another.

    Raises: UsageError, naming the setting; neither key nor passphrase is part of it.
    """
    for kind in (Ed25519Key, ECDSAKey, RSAKey):
        try:
            return kind.from_private_key_file(str(path), passphrase)
        except PasswordRequiredException as error:
            raise UsageError(
                f"BILLING_SFTP_PRIVATE_KEY_FILE: {path} is protected by a passphrase; "
                "give it in BILLING_SFTP_PRIVATE_KEY_PASSPHRASE"
            ) from error
        except OSError as error:
            raise UsageError(
                f"BILLING_SFTP_PRIVATE_KEY_FILE: cannot read {path} ({_reason(error)})"
            ) from error
        except (SSHException, ValueError):
            continue
    passphrase_too = " and that BILLING_SFTP_PRIVATE_KEY_PASSPHRASE is right" if passphrase else ""
    raise UsageError(
        f"BILLING_SFTP_PRIVATE_KEY_FILE: {path} is not a key that can be used; check that it is a private Ed25519, "
        f"ECDSA or RSA key in OpenSSH format (`ssh-keygen -p -f` converts){passphrase_too}"
    )


def _entries(lines: list[str]) -> Iterator[tuple[int, str, list[str]]]:
    """Line number, marker and fields (names, type, key) of each line that holds a key."""
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields or fields[0].startswith("#"):
            continue
        marker = fields.pop(0) if fields[0].startswith("@") else ""
        if fields:
            yield number, marker, fields


def _key(fields: list[str], where: str, name: str) -> PKey | None:
    """The line's key, None if it is of a kind that we do not know."""
    damaged = f"BILLING_SFTP_KNOWN_HOSTS_FILE: {where} names {name}, but its key is damaged"
    try:
        entry = HostKeyEntry.from_line(" ".join(fields))
    except (InvalidHostKey, SSHException, ValueError) as error:
        raise UsageError(damaged) from error
    if entry is None:
        return None
    # paramiko reads on past the end of a key that was cut short, as if zeros followed.
    if entry.key.get_base64() != fields[2]:
        raise UsageError(damaged)
    return entry.key


def _names_host(names: str, host: str) -> bool:
    return any(
        HostKeys.hash_host(host, name) == name if name.startswith("|1|") else name.lower() == host
        for name in names.split(",")
    )


def _pattern_names_host(patterns: str, host: str) -> bool:
    """Whether the patterns (`*`, `?`, `!` before one that is not meant) match, by sshd(8); names may be hashed."""
    if patterns.startswith("|1|"):
        return _names_host(patterns, host)
    matched = False
    for pattern in patterns.lower().split(","):
        bare = pattern.removeprefix("!")
        expression = "".join({"*": ".*", "?": "."}.get(letter, re.escape(letter)) for letter in bare)
        if re.fullmatch(expression, host):
            if bare != pattern:
                return False
            matched = True
    return matched


def _reason(error: OSError | UnicodeDecodeError) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else "not UTF-8 text"
