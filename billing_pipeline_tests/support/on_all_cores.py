"""How pytest-xdist spreads the tests over the cores, as `make test` asks it to; a plugin of pytest.

Each worker has its own PostgreSQL (a session fixture), and takes a file at a time, so that what a file's tests
share is made once. The longest files come first, lest one worker is still busy when the others have nothing left.
There is one worker more than cores: the longest tests start processes, and wait for them.
"""

from __future__ import annotations

import fcntl
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

# By measured time. A file that is missing here costs nothing but a longer wait at the end.
LONGEST = (
    "e2e/test_ui.py",
    "e2e/test_backfills.py",
    "integration/test_random_lives.py",
    "integration/test_celery.py",
    "benches/test_tiny_month.py",
    "integration/test_remove_draft.py",
    "integration/test_approval.py",
    "integration/test_billings.py",
    "faults/test_sample.py",
    "integration/test_late_rows.py",
    "billing/test_properties.py",
    "test_deploy_processes.py",
    "billing/test_invoice_rules.py",
    "integration/test_demo.py",
    "cli/test_decisions_correct.py",
    "integration/test_seals.py",
    "integration/test_ui_ends.py",
    "integration/test_month.py",
    "report/test_month_page.py",
    "integration/test_life_of_rows.py",
    "test_deploy_proxy.py",
    "integration/test_prune.py",
    "defs/test_report_sensor.py",
    "integration/test_withdrawals.py",
    "integration/test_api_transport.py",
    "defs/test_completion_sensor.py",
    "test_docs_billing_rules.py",
    "integration/test_determinism.py",
    "integration/test_object_store.py",
    "integration/test_api_thousand_customers.py",
    "delivery/files/test_upload_faults.py",
    "defs/test_alert_sensors.py",
    "faults/test_drafts.py",
    "integration/test_records.py",
    "cli/test_quick_start.py",
    "test_definitions.py",
    "cli/test_diff_command.py",
    "oms/test_demo.py",
    "integration/test_api_drafts.py",
    "defs/test_month_checks.py",
)

# These hold a clock against a bound, and so have the machine to themselves: while one of them runs, the other workers
# wait. They come last, on one worker, one after the other.
ALONE = (
    "delivery/transports/test_ftps_faults.py::test_a_server_that_hangs_is_given_up_in_time",
    "delivery/transports/test_ftps_faults.py::test_after_a_lost_connection_every_request_says_so_at_once",
    "delivery/transports/test_ftps_faults.py::test_an_answer_a_byte_at_a_time_is_given_up_in_time",
    "delivery/transports/test_network.py::test_all_addresses_share_one_time",
    "delivery/transports/test_sftp.py::test_small_writes_do_not_wait_for_nagle",
    "delivery/transports/test_sftp_faults.py::test_a_server_that_does_not_speak_ssh_is_lost_at_once",
    "delivery/transports/test_sftp_faults.py::test_a_server_that_hangs_is_given_up_in_time",
    "delivery/transports/test_sftp_faults.py::test_a_server_that_never_gets_to_the_point_is_given_up_in_time",
    "delivery/transports/test_sftp_faults.py::test_a_server_that_reads_no_more_is_given_up_in_time",
    "delivery/transports/test_sftp_faults.py::test_after_a_lost_connection_every_request_says_so_at_once",
    "delivery/files/test_pool.py::test_a_server_that_stalls_costs_twice_the_time_out_and_a_second",
    "delivery/files/test_pool.py::test_after_a_time_out_the_next_try_comes_at_once",
    "delivery/files/test_pool.py::test_an_inbox_out_of_reach_is_tried_a_few_times_and_then_ends_the_delivery",
    "easybill/test_draft_comparison.py::test_a_month_of_five_thousand_is_reconciled_in_a_moment",
    "sandbox/test_gate.py::test_a_stop_does_not_wait_for_slow_answers",
)

# Their tests share one `dagster dev`, which takes long to start; each looks at months of its own.
TOGETHER = ("e2e/test_ui.py", "e2e/test_backfills.py")

# Their tests share nothing, and each takes long.
ONE_BY_ONE = ("integration/test_random_lives.py",)

_TESTS = Path(__file__).parents[1].name


def runs_alone(nodeid: str) -> bool:
    """Whether the test is one of `ALONE`, with whatever parameters."""
    return nodeid.partition("[")[0].removeprefix(f"{_TESTS}/") in ALONE


def turn_of(nodeid: str) -> int:
    """When the test's turn comes: the lower, the sooner."""
    if runs_alone(nodeid):
        return len(LONGEST) + 1
    file = nodeid.partition("::")[0].removeprefix(f"{_TESTS}/")
    return LONGEST.index(file) if file in LONGEST else len(LONGEST)


def share_of(nodeid: str) -> str:
    """What one worker takes at a time: a file, or all that run alone or together; of the random lives, one test."""
    if runs_alone(nodeid):
        return "alone"
    file = nodeid.partition("::")[0]
    known = file.removeprefix(f"{_TESTS}/")
    return nodeid if known in ONE_BY_ONE else TOGETHER[0] if known in TOGETHER else file


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: turn_of(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Shares in the order of their turns; xdist by itself would begin with the file of the most tests."""
    config.option.loadscopereorder = False
    scheduler = LoadFileScheduling(config, log)
    scheduler._split_scope = share_of
    return scheduler


# Outermost, so that a test's own time-out does not count the wait for its turn.
@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Any number of tests at a time, or one that runs alone."""
    # Any file will do that all workers know.
    with Path(__file__).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if runs_alone(item.nodeid) else fcntl.LOCK_SH)
        try:
            return (yield)
        finally:
            fcntl.flock(lock, fcntl.LOCK_UN)
