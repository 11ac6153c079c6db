"""`python -m billing_pipeline_tests.e2e.screenshots`: makes the pictures in docs/images anew, of a fresh demo."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import Page

from billing_pipeline.oms.period import last_complete_month
from billing_pipeline_tests.e2e.browser import open_page
from billing_pipeline_tests.support.dagster_dev import QUICK_DAEMON, TOP, DagsterDev, wait_for
from billing_pipeline_tests.support.requires import find_program

IMAGES = TOP / "docs" / "images"
GROUPS = ("oms", "billing", "easybill", "delivery")
# A customer near the top of the list.
SHOWN = "00004"


def main() -> int:
    """Bills a demo and takes the pictures."""
    chromium = find_program("chromium")
    if chromium is None:
        print("chromium is not installed: apt-get install chromium", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory() as home, socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        environment = {**os.environ, "BILLING_HOME": home, "PYTHONPATH": str(QUICK_DAEMON)}
        command = Path(sys.executable).with_name("billing-pipeline")
        subprocess.run([command, "demo"], env=environment, check=True, stdout=subprocess.DEVNULL)
        month = last_complete_month(datetime.now(UTC), "Europe/Berlin")
        report(chromium, command, month, Path(home))
        with subprocess.Popen([command, "ui", "--port", str(port)], env=environment) as ui:
            try:
                served = DagsterDev(f"http://127.0.0.1:{port}")
                wait_for(served.is_loaded, "dagster dev")
                with open_page(chromium) as page:
                    IMAGES.mkdir(parents=True, exist_ok=True)
                    partitions(page, served.url, month)
                    assets(page, served.url)
                    revenue_audit(page, served, month)
            finally:
                ui.send_signal(signal.SIGINT)
    return 0


def report(chromium: str, command: Path, month: str, home: Path) -> None:
    """The top of the month's page, on a desktop and on a phone."""
    made = home / "report.html"
    told = [str(command), "report", month, "--language", "en", "--out", str(made)]
    environment = {**os.environ, "BILLING_HOME": str(home)}
    subprocess.run(told, env=environment, check=True, stdout=subprocess.DEVNULL)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, width, height in (("report", 1200, 1000), ("report-phone", 390, 844)):
        with open_page(chromium, width=width, height=height) as page:
            page.goto(made.as_uri())
            page.screenshot(path=IMAGES / f"{name}.png")


def revenue_audit(page: Page, served: DagsterDev, month: str) -> None:
    """The check of `revenue_audit`: red for the month, with what is open as a table."""
    served.backfill(["revenue_audit"], [month])
    page.set_viewport_size({"width": 1500, "height": 1000})
    page.goto(f"{served.url}/assets/revenue_audit?view=checks")
    page.get_by_text("Latest execution").wait_for()
    page.get_by_text("TASK_SUM_MISMATCH", exact=True).wait_for()
    page.wait_for_timeout(3_000)  # descriptions and icons come last
    page.screenshot(path=IMAGES / "revenue-audit.png")


def partitions(page: Page, url: str, month: str) -> None:
    """The partitions of `easybill_upload`: green and red, and one of them opened."""
    page.goto(f"{url}/assets/easybill_upload?view=partitions")
    page.get_by_text("Partitions Selected").wait_for()
    page.get_by_text(SHOWN, exact=True).first.click()
    page.get_by_text(month, exact=True).first.click()
    page.get_by_text("order_number").wait_for()
    page.screenshot(path=IMAGES / "partitions.png")


def assets(page: Page, url: str) -> None:
    """The graph of all assets, with its groups open."""
    page.set_viewport_size({"width": 1900, "height": 1080})
    groups = quote(",".join(f"global@global:{group}" for group in GROUPS), safe="")
    page.goto(f"{url}/asset-groups?expanded={groups}")
    page.get_by_text("easybill_upload").first.wait_for()
    page.wait_for_timeout(4_000)  # the graph lays itself out
    page.screenshot(path=IMAGES / "assets.png")


if __name__ == "__main__":
    sys.exit(main())
