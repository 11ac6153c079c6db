"""Temporary files of the tests in memory, where the system has a place for them.

The product waits for the disk at every step of a delivery, as it must, and Dagster at every event. What a test finds
is the same either way, for no test cuts the power; without a disk to wait for, the suite takes a fraction of the time.
Benches do wait for the disk: they do not come by here.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")  # Linux keeps it in memory; a container's may be tiny, another system has none
_ENOUGH_BYTES = 2 * 1024**3


def keep_temporary_files_in_memory() -> None:
    """For this process and those that it starts; not where somebody has said where they shall lie."""
    if "TMPDIR" in os.environ or not _has_room(_MEMORY):
        return
    os.environ["TMPDIR"] = str(_MEMORY)
    tempfile.tempdir = None  # it may have been asked already, and remembers its answer


def _has_room(folder: Path) -> bool:
    return (
        folder.is_dir()
        and os.access(folder, os.W_OK | os.X_OK)
        and shutil.disk_usage(folder).free >= _ENOUGH_BYTES
    )
