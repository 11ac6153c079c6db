"""What an FTP server's answers mean: refusals in words, and facts about files.

A refusal becomes the error type that says whether another try helps. Words differ between servers and languages: only
the system's own ("No such file") prove that something is absent.
"""

from __future__ import annotations

import ftplib
import re
from datetime import UTC, datetime

from billing_pipeline.delivery.transports.ftps_connection import one_line
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    InboxBusy,
    InboxRefused,
    NoSpace,
    NotFound,
    Permanent,
    PermissionRefused,
    RemoteFile,
)

_ABSENT = re.compile(r"no such|not found|does ?n.t exist|not exist|cannot find", re.IGNORECASE)
_EMPTY = re.compile(r"no files|no such|not found|empty", re.IGNORECASE)
_FORBIDDEN = re.compile(r"permission|denied|not allowed|not permitted|privilege", re.IGNORECASE)
_FULL = re.compile(r"no space|quota|disk full|insufficient storage", re.IGNORECASE)
_UNKNOWN_COMMAND = frozenset({"500", "501", "502", "503", "504"})
_NO_SPACE = frozenset({"452", "552"})
_NO_CONNECTION = frozenset({"421", "425", "426"})
_NO_PROTECTION = frozenset({"522", "533", "534", "535", "536", "537"})


def file_of_facts(answer: str) -> RemoteFile | None:
    """A multi-line answer to MLST: one line of `fact=value;… name`, indented by a space."""
    for line in answer.splitlines()[1:-1]:
        facts = dict(
            fact.lower().split("=", 1) for fact in line.strip().split(" ")[0].split(";") if "=" in fact
        )
        size = facts.get("size", "")
        return RemoteFile(int(size) if size.isdecimal() else None, instant(facts.get("modify", "")))
    return RemoteFile(None, None)


def says_absent(refusal: ftplib.error_perm) -> bool:
    """Whether the server says, in the system's own words, that there is no such file."""
    words = str(refusal)
    return bool(_ABSENT.search(words)) and not _FORBIDDEN.search(words)


def says_empty(refusal: ftplib.error_perm) -> bool:
    """Whether the refusal of a listing is how some servers say that a directory is empty."""
    return bool(_EMPTY.search(str(refusal))) and not _FORBIDDEN.search(str(refusal))


def instant(text: str) -> datetime | None:
    """`YYYYMMDDHHMMSS[.sss]`, which RFC 3659 has in UTC."""
    try:
        return datetime.strptime(text.strip().split(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def error_of(error: ftplib.Error, where: str) -> DeliveryError:
    """A refusal as the type that says whether another try helps."""
    answer = one_line(error)
    code = answer[:3]
    if code in _NO_SPACE or _FULL.search(answer):
        return NoSpace(f"{where}: {answer}; its disk or the account's quota is full")
    if code in _NO_CONNECTION:
        return ConnectionLost(f"{where}: {answer}")
    if code in _UNKNOWN_COMMAND:
        return Permanent(
            f"{where}: the server does not know this command ({answer}); it cannot be used as an inbox"
        )
    if code in _NO_PROTECTION:
        return InboxRefused(
            f"{where}: the server does not accept our TLS for data ({answer}); its operator must say why"
        )
    if isinstance(error, ftplib.error_temp):
        return InboxBusy(f"{where}: {answer}")
    if _ABSENT.search(answer):
        return NotFound(f"{where}: {answer}; check BILLING_REMOTE_DIR and its siblings")
    return PermissionRefused(f"{where}: {answer}; the account's rights are the server's to give")
