"""The inbox over SFTP as three clients see it: paramiko, asyncssh and OpenSSH's own."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import stat
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import asyncssh
import paramiko
import pytest

from billing_pipeline.sandbox.box import Sandbox
from billing_pipeline_tests.support.requires import require_program

DATA = b"\xc3\xa4;\n" * 20_000


@contextmanager
def connected(
    sandbox: Sandbox, *, username: str | None = None, password: str | None = None
) -> Iterator[paramiko.SFTPClient]:
    """A paramiko client that trusts the sandbox's own known_hosts file only."""
    with closing(paramiko.SSHClient()) as client:
        client.load_host_keys(str(sandbox.known_hosts_file))
        client.connect(
            sandbox.sftp_host,
            sandbox.sftp_port,
            username=username or sandbox.username,
            password=password,
            key_filename=None if password else str(sandbox.private_key_file),
            allow_agent=False,
            look_for_keys=False,
            timeout=10,
        )
        yield client.open_sftp()


def create(client: paramiko.SFTPClient, path: str, data: bytes) -> None:
    with client.open(path, "wx") as file:
        file.write(data)


def test_a_file_is_written_read_back_and_published_by_a_plain_rename(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        assert sorted(client.listdir("/")) == ["archive", "error", "import"]
        create(client, "/import/.a.csv.1.tmp", DATA)
        with client.open("/import/.a.csv.1.tmp") as file:
            assert hashlib.sha256(file.read()).digest() == hashlib.sha256(DATA).digest()
        client.rename("/import/.a.csv.1.tmp", "/import/a.csv")
        assert client.listdir("/import") == ["a.csv"]
        assert client.stat("/import/a.csv").st_size == len(DATA)
    assert (sandbox.files / "import" / "a.csv").read_bytes() == DATA


def test_a_rename_never_overwrites(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        create(client, "/import/.new.tmp", b"new")
        create(client, "/import/a.csv", b"old")
        with pytest.raises(OSError, match="File exists"):
            client.rename("/import/.new.tmp", "/import/a.csv")
        with pytest.raises(OSError, match="not offered"):
            client.posix_rename("/import/.new.tmp", "/import/a.csv")
        with pytest.raises(FileNotFoundError):
            client.rename("/import/missing.tmp", "/import/b.csv")
        assert sorted(client.listdir("/import")) == [".new.tmp", "a.csv"]
    assert (sandbox.files / "import" / "a.csv").read_bytes() == b"old"


def test_an_exclusive_open_refuses_a_name_that_is_taken(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        create(client, "/import/.a.tmp", b"first")
        with pytest.raises(OSError):
            create(client, "/import/.a.tmp", b"second")
        client.remove("/import/.a.tmp")
        with pytest.raises(FileNotFoundError):
            client.stat("/import/.a.tmp")


def test_a_client_sees_nothing_outside_of_the_box(sandbox: Sandbox) -> None:
    with connected(sandbox) as client:
        assert client.normalize("../../..") == "/"
        with pytest.raises(FileNotFoundError):
            client.stat("/../../easybill.db")
        with pytest.raises(PermissionError):
            client.symlink("/etc/passwd", "/import/link")
        with pytest.raises(PermissionError):
            client.mkdir("/elsewhere")
        with pytest.raises(PermissionError):
            client.rmdir("/archive")


def test_only_the_user_with_the_password_or_the_key_is_let_in(sandbox: Sandbox) -> None:
    with connected(sandbox, password=sandbox.password) as client:
        assert client.listdir("/import") == []
    for username, password in ((sandbox.username, "wrong"), ("root", sandbox.password)):
        with (
            pytest.raises(paramiko.AuthenticationException),
            connected(sandbox, username=username, password=password),
        ):
            pass


def test_there_is_no_shell(sandbox: Sandbox) -> None:
    with closing(paramiko.SSHClient()) as client:
        client.load_host_keys(str(sandbox.known_hosts_file))
        client.connect(
            sandbox.sftp_host, sandbox.sftp_port, username=sandbox.username, password=sandbox.password
        )
        with pytest.raises(paramiko.SSHException):
            client.exec_command("true")


def test_many_clients_that_rename_to_one_name_publish_it_once(sandbox: Sandbox) -> None:
    winners: list[int] = []
    start = threading.Barrier(4)

    def publish(number: int) -> None:
        with connected(sandbox) as client:
            for round_ in range(10):
                create(client, f"/import/.{round_}.{number}.tmp", b"%d" % number)
            start.wait()
            for round_ in range(10):
                try:
                    client.rename(f"/import/.{round_}.{number}.tmp", f"/import/{round_}.csv")
                except OSError:
                    continue
                winners.append(round_)

    clients = [threading.Thread(target=publish, args=(number,)) for number in range(4)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert sorted(winners) == list(range(10))


def test_asyncssh_is_served_and_can_sync(sandbox: Sandbox) -> None:
    async def upload() -> list[str]:
        async with (
            asyncssh.connect(
                sandbox.sftp_host,
                sandbox.sftp_port,
                username=sandbox.username,
                client_keys=[str(sandbox.private_key_file)],
                known_hosts=str(sandbox.known_hosts_file),
                config=None,
            ) as connection,
            connection.start_sftp_client() as client,
        ):
            async with client.open("/import/.a.tmp", "xb") as file:
                await file.write(DATA)
                await file.fsync()
            await client.rename("/import/.a.tmp", "/import/a.csv")
            with pytest.raises(asyncssh.SFTPError):
                await client.posix_rename("/import/a.csv", "/import/b.csv")
            return [str(name) for name in await client.listdir("/import") if str(name).strip(".")]

    assert asyncio.run(upload()) == ["a.csv"]


def test_openssh_is_served_and_checks_the_pinned_key(sandbox: Sandbox, tmp_path: Path) -> None:
    sftp = require_program("sftp", package="openssh-client")
    (tmp_path / "a.csv").write_bytes(DATA)
    # -l asks for the plain rename; without it the client prefers posix-rename.
    batch = "put -f a.csv /import/.a.tmp\nrename -l /import/.a.tmp /import/a.csv\nls /import\n"
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UserKnownHostsFile": str(sandbox.known_hosts_file),
        "GlobalKnownHostsFile": "/dev/null",
        "IdentitiesOnly": "yes",
        "IdentityFile": str(sandbox.private_key_file),
    }
    run = subprocess.run(
        [sftp, "-F", "none", "-b", "-", "-P", str(sandbox.sftp_port)]
        + [f"-o{name}={value}" for name, value in options.items()]
        + [f"{sandbox.username}@{sandbox.sftp_host}"],
        input=batch,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "/import/a.csv" in run.stdout
    assert (sandbox.files / "import" / "a.csv").read_bytes() == DATA


@pytest.mark.parametrize("name", ["password", "client_key", "host_key"])
def test_secrets_are_readable_by_their_owner_only(sandbox: Sandbox, name: str) -> None:
    assert stat.S_IMODE((sandbox.state_dir / name).stat().st_mode) == 0o600


def test_a_client_that_hangs_up_amid_its_requests_warns_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    many = DATA * 40
    with Sandbox(tmp_path, api_port=None, import_interval_s=None) as sandbox:
        (sandbox.files / "import" / ".a.tmp").write_bytes(many)
        with connected(sandbox) as client, suppress(OSError, EOFError):
            file = client.open("/import/.a.tmp")
            sandbox._sftp._loop.call_soon_threadsafe(time.sleep, 0.5)
            # Dozens of requests have come, and nobody waits for their answers any more, before the first is read.
            file.prefetch(len(many))
            time.sleep(0.2)
            channel = client.get_channel()
            assert channel is not None
            channel.get_transport().sock.close()
        with connected(sandbox) as another:
            assert another.stat("/import/.a.tmp").st_size == len(many)
    assert [message for message in caplog.messages if "socket.send" in message] == []
    assert logging.getLogger("asyncio").filters == []
