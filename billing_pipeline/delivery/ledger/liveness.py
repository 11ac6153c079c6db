"""Is whoever is at work on a delivery still alive? Asked so that nobody waits for the dead.

Only ever a reason to wait less: taking over from a living holder is safe too (see `files.upload`). So "do not know"
is an honest answer here, and the lease then decides.
"""

from __future__ import annotations

import os
import socket
from datetime import datetime, timedelta
from pathlib import Path

from billing_pipeline.delivery.records import Delivery


def is_free(delivery: Delivery, *, lease_s: float, now: datetime) -> bool:
    """Whether nobody is at work on the delivery: its process has ended, or it has not moved for the lease."""
    if not delivery.holder or is_gone(delivery.holder):
        return True
    return now - delivery.updated_at >= timedelta(seconds=lease_s)


def this_process() -> str:
    """Names this process among all on all machines, as far as the system tells."""
    return f"{_machine()} {os.getpid()} {_started(os.getpid())}"


def is_gone(holder: str) -> bool:
    """Whether the process of that name is known to have ended: same machine, and no longer there.

    False if it lives, or if nothing can be known of it.
    """
    machine, _, process = holder.rpartition(" ")[0].rpartition(" ")
    if not process.isdecimal() or machine != _machine():
        return False
    started = holder.rpartition(" ")[2]
    # Where the system does not tell when a process started, it does not tell either whether it is there.
    return started != "?" and _started(int(process)) != started


def _machine() -> str:
    """The host and, on Linux, the namespace in which process numbers mean something."""
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = "?"
    return f"{socket.gethostname()} {namespace}"


def _started(process: int) -> str:
    """When a process started, in ticks since boot; "?" if there is no such process, or no way to know."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return "?"
    fields = status.rpartition(")")[2].split()
    # A zombie in the system's sense has ended; nobody has asked how, that is all.
    return "?" if fields[0] in {"Z", "X"} else fields[19]
