"""How the `sftp` transport keeps what it sends from being read or changed: which cipher, and keys changed midway."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from paramiko.packet import Packetizer

from billing_pipeline_tests.support.asyncssh_server import sftp_server
from billing_pipeline_tests.support.openssh import openssh_server

GCM = "aes128-gcm@openssh.com"


@pytest.mark.parametrize(
    ("offered", "taken"),
    [
        ([], GCM),
        (["Ciphers aes256-ctr,aes256-gcm@openssh.com"], "aes256-gcm@openssh.com"),
        (["Ciphers chacha20-poly1305@openssh.com,aes256-ctr"], "aes256-ctr"),
    ],
    ids=["any", "both", "no-gcm"],
)
def test_the_cipher_that_needs_no_second_pass_is_taken_where_the_server_has_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, offered: list[str], taken: str
) -> None:
    caplog.set_level(logging.DEBUG, "paramiko.transport")
    data = os.urandom(300_000)
    with openssh_server(tmp_path / "server", offered) as server, server.transport().connect() as inbox:
        path = f"{server.inbox}/a.csv"
        inbox.create(path, data)
        assert inbox.read(path) == data
    assert f"Cipher: {taken}" in caplog.text


def test_another_servers_cipher_of_that_kind_is_taken_too(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "paramiko.transport")
    data = os.urandom(300_000)
    with sftp_server(tmp_path) as server, server.transport().connect() as inbox:
        inbox.create("/import/a.csv", data)
        assert inbox.read("/import/a.csv") == data
    assert f"Cipher: {GCM}" in caplog.text


@pytest.mark.parametrize("who", ["client", "server"])
@pytest.mark.parametrize("cipher", [GCM, "aes128-ctr"])
def test_a_connection_whose_keys_are_changed_midway_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, who: str, cipher: str
) -> None:
    """As after a gigabyte; here after a hundred kilobytes."""
    caplog.set_level(logging.DEBUG, "paramiko.transport")
    options = [f"Ciphers {cipher}"]
    if who == "client":
        monkeypatch.setattr(Packetizer, "REKEY_BYTES", 100_000)
    else:
        options.append("RekeyLimit 100K")
    with openssh_server(tmp_path / "server", options) as server, server.transport().connect() as inbox:
        for number in range(5):
            data, path = os.urandom(300_000), f"{server.inbox}/{number}.csv"
            inbox.create(path, data)
            assert inbox.read(path) == data
    assert caplog.text.count(f"Cipher: {cipher}") > 3
