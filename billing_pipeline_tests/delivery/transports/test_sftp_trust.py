"""Whom the `sftp` transport trusts and who lets it in: no credential leaves before the pinned key has been shown."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from billing_pipeline.delivery.transports.protocol import (
    HostKeyChanged,
    HostKeyUnknown,
    InboxRefused,
    LoginRefused,
    ServerTooOld,
)
from billing_pipeline.delivery.transports.sftp import SftpTransport
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.asyncssh_server import USERNAME, SftpServer, sftp_server
from billing_pipeline_tests.support.openssh import (
    HOST,
    OpenSshServer,
    generate_key,
    known_hosts_line,
    openssh_server,
)

CANARY = "canary-7f3b1d-password"


@pytest.fixture(scope="module")
def openssh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenSshServer]:
    with openssh_server(tmp_path_factory.mktemp("openssh") / "server") as server:
        yield server


@pytest.fixture
def asyncssh(tmp_path: Path) -> Iterator[SftpServer]:
    with sftp_server(tmp_path, password=CANARY) as server:
        yield server


def transport(
    server: OpenSshServer, known_hosts: Path, *, key: Path | None = None, password: str | None = None
) -> SftpTransport:
    return SftpTransport(
        host=HOST,
        port=server.port,
        username=server.username,
        known_hosts_file=known_hosts,
        private_key_file=key,
        password=password,
        timeout_s=5,
    )


def connect(transport: SftpTransport) -> None:
    with transport.connect() as inbox:
        inbox.list("/")


@pytest.mark.parametrize("kind", ["ed25519", "ecdsa", "rsa"])
def test_a_server_with_several_keys_shows_the_pinned_kind(
    openssh: OpenSshServer, tmp_path: Path, kind: str
) -> None:
    pinned = tmp_path / "known_hosts"
    pinned.write_text(known_hosts_line(openssh.port, openssh.folder / f"host_{kind}.pub"))
    connect(transport(openssh, pinned, key=openssh.client_key))


def test_an_unknown_host_key_ends_before_any_credential(asyncssh: SftpServer) -> None:
    asyncssh.known_hosts.write_text("")
    with pytest.raises(HostKeyUnknown) as caught:
        connect(asyncssh.transport())
    assert "auth" not in asyncssh.calls
    message = str(caught.value)
    assert f"[{HOST}]:{asyncssh.port}" in message
    assert "SHA256:" in message
    assert "BILLING_SFTP_KNOWN_HOSTS_FILE" in message
    assert f"ssh-keyscan -p {asyncssh.port} {HOST} >>" in message
    assert "No credential was sent" in message


def test_a_changed_host_key_ends_before_any_credential(asyncssh: SftpServer, tmp_path: Path) -> None:
    other = generate_key(tmp_path / "other", "ed25519").with_suffix(".pub")
    asyncssh.known_hosts.write_text(known_hosts_line(asyncssh.port, other))
    with pytest.raises(
        HostKeyChanged, match=r"shows the host key ssh-ed25519 SHA256:.*pins ssh-ed25519 SHA256:"
    ):
        connect(asyncssh.transport())
    assert "auth" not in asyncssh.calls


def test_a_server_without_the_pinned_kind_of_key_is_a_changed_one(
    asyncssh: SftpServer, tmp_path: Path
) -> None:
    other = generate_key(tmp_path / "other", "rsa").with_suffix(".pub")
    asyncssh.known_hosts.write_text(known_hosts_line(asyncssh.port, other))
    with pytest.raises(HostKeyChanged, match=r"shows the host key ssh-ed25519 .*pins ssh-rsa"):
        connect(asyncssh.transport())
    assert "auth" not in asyncssh.calls


def test_a_key_pinned_for_another_port_does_not_count(asyncssh: SftpServer) -> None:
    line = asyncssh.known_hosts.read_text()
    asyncssh.known_hosts.write_text(line.replace(f"[{HOST}]:{asyncssh.port}", HOST))
    with pytest.raises(HostKeyUnknown):
        connect(asyncssh.transport())


def test_the_new_key_of_a_server_can_be_pinned_beside_the_old_one(
    asyncssh: SftpServer, tmp_path: Path
) -> None:
    other = generate_key(tmp_path / "other", "ed25519").with_suffix(".pub")
    line = asyncssh.known_hosts.read_text()
    asyncssh.known_hosts.write_text(known_hosts_line(asyncssh.port, other) + line)
    connect(asyncssh.transport())


def test_a_wrong_password_is_refused_for_good_and_not_shown(asyncssh: SftpServer) -> None:
    with pytest.raises(LoginRefused, match=r"'billing' by password.*BILLING_SFTP_PASSWORD") as caught:
        connect(asyncssh.transport(password=CANARY + "x"))
    assert "canary" not in "".join(traceback.format_exception(caught.value))


def test_a_wrong_key_is_refused_and_the_accepted_ways_are_named(
    openssh: OpenSshServer, tmp_path: Path
) -> None:
    other = generate_key(tmp_path / "other", "ed25519")
    with pytest.raises(LoginRefused, match="by private key") as caught:
        connect(transport(openssh, openssh.known_hosts, key=other))
    assert "BILLING_SFTP_PRIVATE_KEY_FILE" in str(caught.value)
    with pytest.raises(LoginRefused, match="by password; it accepts: publickey"):
        connect(transport(openssh, openssh.known_hosts, password="x"))


def test_where_a_key_is_given_a_refusal_sends_no_password(asyncssh: SftpServer, tmp_path: Path) -> None:
    with pytest.raises(LoginRefused, match=r"by private key \(ssh-rsa\); it accepts: .*password.*Ed25519"):
        connect(
            SftpTransport(
                host=HOST,
                port=asyncssh.port,
                username=USERNAME,
                known_hosts_file=asyncssh.known_hosts,
                private_key_file=generate_key(tmp_path / "other", "rsa"),
                password=CANARY,
            )
        )
    assert "auth" not in asyncssh.calls


def test_an_encrypted_key_logs_in_with_its_passphrase(openssh: OpenSshServer, tmp_path: Path) -> None:
    key = generate_key(tmp_path / "key", "rsa", passphrase=CANARY)
    authorised = openssh.folder / "authorized_keys"
    authorised.write_text(authorised.read_text() + key.with_suffix(".pub").read_text())
    connect(
        SftpTransport(
            host=HOST,
            port=openssh.port,
            username=openssh.username,
            known_hosts_file=openssh.known_hosts,
            private_key_file=key,
            private_key_passphrase=CANARY,
        )
    )


def test_no_agent_and_no_key_of_the_home_directory_is_asked(
    openssh: OpenSshServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True)
    (home / ".ssh" / "id_ed25519").write_bytes(openssh.client_key.read_bytes())
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "agent"))
    with pytest.raises(LoginRefused, match="by nothing"):
        connect(transport(openssh, openssh.known_hosts))


@pytest.mark.parametrize(
    "options",
    [
        ["KexAlgorithms diffie-hellman-group14-sha1"],
        ["HostKeyAlgorithms ssh-rsa"],
        ["Ciphers aes256-cbc,3des-cbc"],
        ["MACs hmac-md5", "Ciphers aes128-ctr"],
    ],
    ids=["sha1-key-exchange", "sha1-host-key", "cbc", "md5"],
)
def test_a_server_with_broken_algorithms_only_is_refused_as_too_old(
    tmp_path: Path, options: list[str]
) -> None:
    with openssh_server(tmp_path / "server", options) as server, pytest.raises(ServerTooOld) as caught:
        connect(server.transport())
    assert "its operator must update it" in str(caught.value)


def test_an_account_without_sftp_is_refused(tmp_path: Path) -> None:
    with (
        openssh_server(tmp_path / "server", sftp=None) as server,
        pytest.raises(InboxRefused, match="sftp subsystem"),
    ):
        connect(server.transport())


def test_a_missing_key_file_is_a_usage_error_before_any_connection(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BILLING_SFTP_KNOWN_HOSTS_FILE"):
        SftpTransport(host="sftp.invalid", username="x", known_hosts_file=tmp_path / "absent", password="x")


def test_secrets_are_in_no_log_and_no_repr(asyncssh: SftpServer, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    good = asyncssh.transport()
    with good.connect() as inbox:
        inbox.create("/import/.a.tmp", b"a")
    with pytest.raises(LoginRefused):
        connect(asyncssh.transport(password=CANARY + "x"))
    assert "paramiko.transport" in {record.name for record in caplog.records}
    assert "canary" not in caplog.text
    assert "canary" not in repr(good) + repr(vars(good))
