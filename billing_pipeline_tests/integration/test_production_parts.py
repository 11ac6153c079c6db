"""A month with the parts of a production: OMS and ledger on PostgreSQL, a real OpenSSH server as the inbox."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.support.installation import Installation, outcomes_in
from billing_pipeline_tests.support.oms_database import customer, service, write_postgres
from billing_pipeline_tests.support.openssh import OpenSshServer, openssh_server

MONTH = "2026-10"
CUSTOMERS = [f"{number:05d}" for number in range(40)]


@pytest.fixture
def installation(tmp_path: Path, postgres_database: str) -> Installation:
    rows = {
        "customers": [customer(number) for number in CUSTOMERS],
        "services": [service(f"S-{number}", number) for number in CUSTOMERS],
    }
    write_postgres(postgres_database, rows)
    return Installation(tmp_path, BILLING_OMS_URL=postgres_database, BILLING_LEDGER_URL=postgres_database)


def point_at(server: OpenSshServer, installation: Installation) -> None:
    installation.environment |= {
        "BILLING_TRANSPORT": "sftp",
        "BILLING_SFTP_HOST": "127.0.0.1",
        "BILLING_SFTP_PORT": str(server.port),
        "BILLING_SFTP_USERNAME": server.username,
        "BILLING_SFTP_PRIVATE_KEY_FILE": str(server.client_key),
        "BILLING_SFTP_KNOWN_HOSTS_FILE": str(server.known_hosts),
        "BILLING_REMOTE_DIR": str(server.inbox),
    }


def test_a_month_over_openssh_with_a_ledger_on_postgresql_and_not_twice(
    tmp_path: Path, installation: Installation
) -> None:
    with openssh_server(tmp_path / "ssh") as server:
        point_at(server, installation)
        first = installation.command("run", MONTH, "--json")
        assert first.status == 0, first.err
        assert set(outcomes_in(first.json()).values()) == {"delivered"}
        arrived = {path.name: path.read_bytes() for path in server.inbox.iterdir()}
        assert sorted(arrived) == [f"easybill_2026-10_{number}.csv" for number in CUSTOMERS]
        second = installation.run_json(MONTH)
        assert set(outcomes_in(second).values()) == {"unchanged"}
        assert {path.name: path.read_bytes() for path in server.inbox.iterdir()} == arrived


def test_an_unknown_host_key_ends_the_run_and_nothing_is_sent(
    tmp_path: Path, installation: Installation
) -> None:
    with openssh_server(tmp_path / "ssh") as server:
        point_at(server, installation)
        server.known_hosts.write_text("", encoding="ascii")
        answer = installation.command("run", MONTH, "--json")
        assert answer.status == 3
        assert "BILLING_SFTP_KNOWN_HOSTS_FILE" in answer.err
        assert "SHA256:" in answer.err
        assert list(server.inbox.iterdir()) == []
        assert set(outcomes_in(answer.json()).values()) == {"failed"}
        assert "Accepted" not in server.log()


def test_the_doctor_tries_everything_and_leaves_nothing_behind(
    tmp_path: Path, installation: Installation
) -> None:
    with openssh_server(tmp_path / "ssh") as server:
        point_at(server, installation)
        answer = installation.command("doctor", "--json")
        assert answer.status == 0, answer.out
        told = {finding["subject"]: finding for finding in answer.json()["findings"]}
        assert {"settings", "OMS", "ledger", "store", "inbox"} <= set(told)
        assert "rename without overwriting" in told["inbox"]["detail"]
        assert list(server.inbox.iterdir()) == []
    broken = installation.command("doctor")
    assert broken.status == 3
    assert "FIX  inbox" in broken.out
