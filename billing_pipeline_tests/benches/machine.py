"""The machine that measures: what a reader must know to judge its seconds."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from contextlib import closing
from datetime import date
from importlib.metadata import version
from pathlib import Path

import psycopg2

from billing_pipeline_tests.support.requires import find_program


def machine(postgres_url: str) -> dict[str, str]:
    """Its parts and versions, and how busy it is just now."""
    with closing(psycopg2.connect(postgres_url)) as connection:
        postgres = connection.server_version
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "date": date.today().isoformat(),  # noqa: DTZ011 - the day where it was measured
        "CPU": f"{os.cpu_count()} cores, {_cpu_model()}",
        "memory": f"{memory / 1e9:.0f} GB",
        "load when it began": ", ".join(f"{load:.1f}" for load in os.getloadavg()),
        "system": platform.platform(terse=True),
        "Python": platform.python_version(),
        "Dagster": version("dagster"),
        "PostgreSQL": f"{postgres // 10_000}.{postgres % 10_000}",
        "OpenSSH": _said("ssh", "-V"),
        "lftp": _said("lftp", "--version"),
        "product": f"billing_pipeline {version('billing-pipeline')}",
    }


def _cpu_model() -> str:
    known = Path("/proc/cpuinfo")
    found = re.search(r"^model name\s*:\s*(.+)$", known.read_text() if known.is_file() else "", re.MULTILINE)
    return found[1] if found else platform.machine()


def _said(program: str, option: str) -> str:
    """The version in what the program says of itself; it may say it on stderr."""
    path = find_program(program)
    if path is None:
        return "not installed"
    said = subprocess.run([path, option], capture_output=True, text=True)
    found = re.search(r"(?:OpenSSH_|Version )(\S+)", said.stdout + said.stderr)
    return found[1].rstrip(",") if found else "installed"
