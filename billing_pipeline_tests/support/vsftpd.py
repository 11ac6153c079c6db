"""A real vsftpd on loopback: explicit TLS, and data connections only with the control connection's TLS session.

It runs as whoever runs the tests. That allows anonymous logins only (another account would need the system's own),
and no change of root, so the inbox is an absolute folder.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

from billing_pipeline.delivery.transports.ftps import FtpsTransport
from billing_pipeline_tests.support.openssh import HOST, end_process, wait_until_listening
from billing_pipeline_tests.support.ports import free_port
from billing_pipeline_tests.support.requires import require_program


@dataclass(frozen=True)
class Vsftpd:
    """A running server; `inbox` is where files are to go."""

    port: int
    folder: Path
    inbox: Path
    ca_file: Path

    def transport(self, *, timeout_s: float = 5.0, port: int | None = None) -> FtpsTransport:
        return FtpsTransport(
            host=HOST,
            port=port or self.port,
            username="anonymous",
            password="guest",
            ca_file=self.ca_file,
            timeout_s=timeout_s,
        )


@contextmanager
def vsftpd(folder: Path, options: Sequence[str] = ()) -> Iterator[Vsftpd]:
    """A server in `folder`; `options` are further lines of its configuration."""
    program = require_program("vsftpd", package="vsftpd")
    inbox = folder / "root" / "import"
    inbox.mkdir(parents=True)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate = authority.issue_cert(HOST)
    certificate.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    server = Vsftpd(free_port(), folder, inbox, folder / "ca.pem")
    config = folder / "vsftpd.conf"
    lines = [
        "listen=YES",
        f"listen_address={HOST}",
        f"listen_port={server.port}",
        "background=NO",
        "run_as_launching_user=YES",
        "anonymous_enable=YES",
        f"anon_root={folder / 'root'}",
        "write_enable=YES",
        "anon_upload_enable=YES",
        "anon_other_write_enable=YES",
        "anon_world_readable_only=NO",
        "anon_umask=022",
        "seccomp_sandbox=NO",
        f"secure_chroot_dir={folder}",
        f"vsftpd_log_file={folder / 'vsftpd.log'}",
        "xferlog_enable=YES",
        "log_ftp_protocol=YES",
        "ssl_enable=YES",
        "allow_anon_ssl=YES",
        "force_anon_logins_ssl=YES",
        "force_anon_data_ssl=YES",
        "require_ssl_reuse=YES",
        "ssl_ciphers=HIGH",
        f"rsa_cert_file={folder / 'server.pem'}",
        "connect_from_port_20=NO",
        "max_per_ip=0",
        *options,
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    config.chmod(0o600)
    process = subprocess.Popen(
        [program, str(config)],
        stdin=subprocess.DEVNULL,
        stdout=(folder / "out").open("wb"),
        stderr=subprocess.STDOUT,
    )
    try:
        wait_until_listening(server.port, process)
        yield server
    finally:
        end_process(process)
