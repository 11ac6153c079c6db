"""What is particular to the `ftps` transport, on real servers; the rest is in `test_transport_contract`."""

from __future__ import annotations

import ftplib
import ssl
from pathlib import Path

import pytest

from billing_pipeline_tests.support.vsftpd import vsftpd


def test_vsftpd_demands_the_tls_session_which_ftplib_alone_does_not_bring(tmp_path: Path) -> None:
    with vsftpd(tmp_path) as server:
        plain = ftplib.FTP_TLS(context=ssl.create_default_context(cafile=str(server.ca_file)), timeout=5)
        plain.connect("127.0.0.1", server.port)
        plain.login("anonymous", "guest")
        plain.prot_p()
        with pytest.raises((ftplib.Error, OSError)):
            plain.nlst(str(server.inbox))
        plain.close()
        with server.transport().connect() as inbox:
            assert inbox.list(str(server.inbox)) == []
