"""`billing-pipeline ui` ends with all that it started, whoever started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from billing_pipeline.oms.demo import create_demo_oms
from billing_pipeline.oms.period import last_complete_month
from billing_pipeline.settings import load_settings
from billing_pipeline_tests.support.ports import free_port

STARTS_WITHIN_S = 200
ENDS_WITHIN_S = 100


def ignore_interrupts() -> None:
    """As a supervisor does that starts its services in the background of a shell."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def make_small_demo(home: Path) -> None:
    """What takes longest at the first start, of a few customers and a month."""
    settings = load_settings({"BILLING_HOME": str(home)})
    month = last_complete_month(datetime.now(UTC), settings.timezone)
    home.mkdir(parents=True)
    create_demo_oms(settings.demo_oms_file, until_month=month, months=1, customers=5)
    settings.demo_oms_file.with_suffix(".month").write_text(month, encoding="utf-8")


@pytest.mark.timeout(STARTS_WITHIN_S + ENDS_WITHIN_S + 30)
def test_the_ui_ends_on_sigterm_although_it_was_started_with_sigint_ignored(tmp_path: Path) -> None:
    make_small_demo(tmp_path / ".billing" / "demo")
    port = free_port()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BILLING_")}
    environment.pop("DAGSTER_HOME", None)
    with subprocess.Popen(
        [str(Path(sys.executable).with_name("billing-pipeline")), "ui", "--port", str(port)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=ignore_interrupts,
        start_new_session=True,
    ) as ui:
        try:
            wait_until_it_answers(port)
            ui.send_signal(signal.SIGTERM)
            assert ui.wait(timeout=ENDS_WITHIN_S) == 0
        finally:
            kill_all(ui.pid)
    with pytest.raises(URLError):
        urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)


def wait_until_it_answers(port: int) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while True:
        try:
            urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5)
        except OSError:
            assert time.monotonic() < until, "the UI did not come up"
            time.sleep(0.5)
        else:
            return


def kill_all(session: int) -> None:
    try:
        os.killpg(session, signal.SIGKILL)
    except ProcessLookupError:
        return
