"""The box as a whole: it starts, stops without a trace, is the same when started again, and stays on loopback."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline.sandbox.sandbox_errors import SandboxError
from billing_pipeline_tests.support.custom_csv import custom_csv
from billing_pipeline_tests.support.easybill_sandbox import put_file


def wait_for(condition: Callable[[], object], timeout_s: float = 10) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "timed out"
        time.sleep(0.02)


def test_it_imports_by_itself(tmp_path: Path) -> None:
    with Sandbox(tmp_path, import_interval_s=0.02) as sandbox:
        put_file(sandbox, "a.csv", custom_csv({}))
        wait_for(sandbox.drafts)
        assert [(draft.order_number, draft.gross) for draft in sandbox.drafts()] == [("2026-10-10023", 17850)]
        assert [record.outcome for record in sandbox.imports()] == ["imported"]


def test_stopped_it_leaves_nothing_running(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    with Sandbox(tmp_path, import_interval_s=0.02) as sandbox:
        address = (sandbox.sftp_host, sandbox.sftp_port)
        client = socket.create_connection(address, timeout=10)
        assert client.recv(3) == b"SSH"
    assert set(threading.enumerate()) == before
    client.settimeout(10)
    with client:
        while client.recv(4096):
            pass
    assert sandbox.api_url is not None
    for host, port in (address, ("127.0.0.1", httpx.URL(sandbox.api_url).port)):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), timeout=10)


def test_started_again_it_is_the_same_easy_bill(tmp_path: Path) -> None:
    with Sandbox(tmp_path, import_interval_s=None) as sandbox:
        put_file(sandbox, "a.csv", custom_csv({}))
        sandbox.import_now()
        first = (sandbox.password, sandbox.drafts(), sandbox.known_hosts_file.read_text().split()[1:])
    with Sandbox(tmp_path, import_interval_s=None) as sandbox:
        put_file(sandbox, "b.csv", custom_csv({}))
        assert sandbox.import_now().skipped == ("2026-10-10023",)
        known_hosts = sandbox.known_hosts_file.read_text()
        assert (sandbox.password, sandbox.drafts(), known_hosts.split()[1:]) == first
        assert re.fullmatch(rf"\[127\.0\.0\.1\]:{sandbox.sftp_port} ssh-ed25519 \S+\n", known_hosts)


def test_a_chosen_port_is_used_and_a_taken_one_is_named(tmp_path: Path) -> None:
    with Sandbox(tmp_path / "one", import_interval_s=None) as one:
        before = set(threading.enumerate())
        with (
            pytest.raises(SandboxError, match=f"127.0.0.1:{one.sftp_port} for SFTP .*choose another port"),
            Sandbox(tmp_path / "two", sftp_port=one.sftp_port),
        ):
            pass
        assert set(threading.enumerate()) == before
        port = one.sftp_port
    with Sandbox(tmp_path / "two", sftp_port=port, import_interval_s=None) as two:
        assert two.sftp_port == port


def test_two_sandboxes_do_not_share_a_folder(tmp_path: Path) -> None:
    with (
        Sandbox(tmp_path, import_interval_s=None),
        pytest.raises(SandboxError, match="already running on"),
        Sandbox(tmp_path, import_interval_s=None),
    ):
        pass
    with Sandbox(tmp_path, import_interval_s=None) as again:
        assert again.drafts() == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", "localhost", ""])
def test_it_serves_loopback_only(tmp_path: Path, host: str) -> None:
    with pytest.raises(SandboxError, match="loopback only"):
        Sandbox(tmp_path, host=host)


def test_an_importer_that_cannot_go_on_is_not_silent(tmp_path: Path) -> None:
    def run_without_an_inbox() -> None:
        with Sandbox(tmp_path, import_interval_s=0.01) as sandbox:
            (sandbox.files / "import").rmdir()
            wait_for(lambda: "sandbox-importer" not in {thread.name for thread in threading.enumerate()})

    with pytest.raises(SandboxError, match=r"importer has stopped: .*import"):
        run_without_an_inbox()


def test_the_settings_name_secrets_by_file_only(sandbox: Sandbox) -> None:
    settings = sandbox.settings()
    assert settings["BILLING_SFTP_PORT"] == str(sandbox.sftp_port)
    assert Path(settings["BILLING_SFTP_PRIVATE_KEY_FILE"]).is_file()
    assert Path(settings["BILLING_SFTP_KNOWN_HOSTS_FILE"]).is_file()
    assert sandbox.password not in settings.values()


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_serve_runs_until_it_is_told_to_stop_and_prints_no_secret(
    tmp_path: Path, stop: signal.Signals
) -> None:
    code = (
        "import sys; from pathlib import Path; from billing_pipeline.sandbox.serve import serve;"
        "serve(Path(sys.argv[1]))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    while "Ctrl+C" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    process.send_signal(stop)
    assert process.wait(timeout=20) == 0
    process.stdout.close()
    for secret in ("password", "api_key"):
        assert (tmp_path / secret).read_text() not in said
    assert f"export BILLING_SFTP_KNOWN_HOSTS_FILE={tmp_path / 'known_hosts'}" in said
