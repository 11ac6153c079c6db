"""Whom the `ftps` transport trusts and who lets it in: no credential leaves before the certificate has verified."""

from __future__ import annotations

import logging
import ssl
import traceback
from pathlib import Path

import pytest
import trustme
from OpenSSL import SSL
from pyftpdlib.handlers import TLS_FTPHandler

from billing_pipeline.delivery.transports.ftps import FtpsTransport
from billing_pipeline.delivery.transports.protocol import (
    CertificateRefused,
    InboxRefused,
    InboxUnavailable,
    LoginRefused,
    ServerTooOld,
)
from billing_pipeline.problems import UsageError
from billing_pipeline_tests.support.pyftpd import Pyftpd, pyftpd
from billing_pipeline_tests.support.vsftpd import vsftpd

CANARY = "canary-51c09e-password"


def connect(transport: FtpsTransport) -> None:
    with transport.connect() as inbox:
        inbox.list("/import")


def credentials_seen(server: Pyftpd) -> bool:
    return bool({"USER", "PASS"} & set(server.commands))


def test_a_certificate_of_an_unknown_authority_ends_before_any_credential(tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    with pyftpd(tmp_path) as server:
        with pytest.raises(CertificateRefused, match=r"BILLING_FTPS_CA_FILE.*No credential was sent"):
            connect(server.transport(ca_file=other))
        assert not credentials_seen(server)


def test_a_certificate_for_another_name_ends_before_any_credential(tmp_path: Path) -> None:
    with pyftpd(tmp_path, certificate_for="elsewhere.example.com") as server:
        with pytest.raises(CertificateRefused, match="BILLING_FTPS_HOST"):
            connect(server.transport())
        assert not credentials_seen(server)


def test_without_a_ca_file_the_systems_authorities_count(tmp_path: Path) -> None:
    with pyftpd(tmp_path) as server:
        transport = FtpsTransport(
            host="127.0.0.1", port=server.port, username="billing", password="x", timeout_s=2
        )
        with pytest.raises(CertificateRefused):
            connect(transport)


def test_a_server_without_tls_is_refused_before_any_credential(tmp_path: Path) -> None:
    with pyftpd(tmp_path, without=("AUTH",)) as server:
        with pytest.raises(InboxRefused, match="offers no TLS"):
            connect(server.transport())
        assert not credentials_seen(server)


def test_a_server_with_tls_1_1_at_most_is_too_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = SSL.OP_NO_TLSv1_2 | SSL.OP_NO_TLSv1_3
    monkeypatch.setattr(TLS_FTPHandler, "ssl_options", TLS_FTPHandler.ssl_options | newer)
    with pyftpd(tmp_path) as server, pytest.raises(ServerTooOld, match=r"no TLS later than 1\.1"):
        connect(server.transport())


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_work_with_a_server_that_demands_the_session(
    tmp_path: Path, version: ssl.TLSVersion
) -> None:
    with vsftpd(tmp_path) as server:
        transport = server.transport()
        transport.context.minimum_version = transport.context.maximum_version = version
        with transport.connect() as inbox:
            inbox.create(f"{server.inbox}/.a.tmp", b"a")
            assert inbox.read(f"{server.inbox}/.a.tmp") == b"a"


def test_a_server_that_protects_no_data_is_refused(tmp_path: Path) -> None:
    with pyftpd(tmp_path) as server:
        server.hooks["PROT"] = lambda session, _: session.respond("536 not here")
        with pytest.raises(InboxRefused, match="does not protect data"):
            connect(server.transport())


def test_a_wrong_password_is_refused_for_good_and_not_shown(tmp_path: Path) -> None:
    with pyftpd(tmp_path) as server, pytest.raises(LoginRefused, match="BILLING_FTPS_PASSWORD") as caught:
        connect(server.transport(password=CANARY))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_a_server_that_is_too_busy_is_unavailable_for_now(tmp_path: Path) -> None:
    with pyftpd(tmp_path) as server:
        server.hooks[""] = lambda session, _: session.respond("421 too many users")
        with pytest.raises(InboxUnavailable, match="421 too many users"):
            connect(server.transport())


def test_a_password_with_a_line_break_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="BILLING_FTPS_PASSWORD") as caught:
        FtpsTransport(host="ftp.invalid", username="x", password=CANARY + "\r\nDELE x")
    assert CANARY not in str(caught.value)


def test_an_unusable_ca_file_is_a_usage_error_before_any_connection(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    for path in (tmp_path / "absent.pem", tmp_path / "empty.pem"):
        with pytest.raises(UsageError, match="BILLING_FTPS_CA_FILE"):
            FtpsTransport(host="ftp.invalid", username="x", password="x", ca_file=path)


def test_secrets_are_in_no_log_and_no_repr(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pyftpd(tmp_path, password=CANARY) as server:
        transport = server.transport()
        connect(transport)
    assert CANARY not in caplog.text
    assert CANARY not in repr(transport) + repr(vars(transport))
