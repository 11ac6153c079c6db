"""System programs that some tests need: found, or the test says which package brings them.

On a developer's machine a missing program skips the test. Where `BILLING_REQUIRE_ALL_TESTS=1` is set, as in CI, it
fails instead, so that a suite in which the real servers were never started cannot look green. (No `BILLING_`
prefix: the product, which tests start, refuses every `BILLING_` variable that it does not know.)
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

# Debian keeps daemons out of an ordinary user's PATH, and PostgreSQL's server out of everybody's.
_DAEMON_FOLDERS = ("/usr/sbin", "/usr/local/sbin", "/sbin")
_POSTGRESQL_RELEASES = Path("/usr/lib/postgresql")


def require_program(name: str, *, package: str) -> str:
    """The path of the program `name`; without it the test is skipped, or fails where all tests are required.

    `package` is the Debian package that brings the program.
    """
    if found := find_program(name):
        return found
    message = f"{name} is not installed: apt-get install {package}"
    if os.environ.get("BILLING_REQUIRE_ALL_TESTS") == "1":
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def find_program(name: str) -> str | None:
    """The path of the program `name`, or None."""
    path = os.environ.get("PATH", os.defpath)
    postgresql = [str(folder) for folder in sorted(_POSTGRESQL_RELEASES.glob("*/bin"), reverse=True)]
    return shutil.which(name, path=os.pathsep.join([path, *_DAEMON_FOLDERS, *postgresql]))
