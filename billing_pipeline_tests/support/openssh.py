"""A real OpenSSH server on loopback: its own configuration, host keys and authorised key, and a folder as its root.

It runs as whoever runs the tests, in the foreground, and ends with the context. Only this account can log in, by
key. Paths are the machine's own (`internal-sftp` changes root only for root), so the inbox is an absolute folder.
"""

from __future__ import annotations

import getpass
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from billing_pipeline.delivery.transports.sftp import SftpTransport
from billing_pipeline_tests.support.ports import free_port
from billing_pipeline_tests.support.requires import require_program

HOST = "127.0.0.1"
HOST_KEY_KINDS = ("ed25519", "ecdsa", "rsa")


@dataclass(frozen=True)
class OpenSshServer:
    """A running server; `folder` holds its keys, `inbox` is where files are to go."""

    port: int
    folder: Path
    inbox: Path
    username: str

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def client_key(self) -> Path:
        return self.folder / "client_ed25519"

    def host_key_line(self, kind: str) -> str:
        """The server's key of this kind as a line of known_hosts."""
        return known_hosts_line(self.port, self.folder / f"host_{kind}.pub")

    def pin(self, port: int) -> None:
        """Pins the server's keys for another port too: that of a proxy before it."""
        with self.known_hosts.open("a", encoding="ascii") as file:
            for kind in HOST_KEY_KINDS:
                file.write(known_hosts_line(port, self.folder / f"host_{kind}.pub"))

    def log(self) -> str:
        return (self.folder / "sshd.log").read_text(encoding="utf-8", errors="replace")

    def transport(self, *, timeout_s: float = 5.0, port: int | None = None) -> SftpTransport:
        """A transport with everything right; `port` leads through a proxy, whose name must then be pinned too."""
        return SftpTransport(
            host=HOST,
            port=port or self.port,
            username=self.username,
            known_hosts_file=self.known_hosts,
            private_key_file=self.client_key,
            timeout_s=timeout_s,
        )


def known_hosts_line(port: int, public_key: Path, host: str = HOST) -> str:
    """`[host]:port type key`, as ssh-keyscan writes it."""
    kind, key = public_key.read_text(encoding="ascii").split()[:2]
    return f"[{host}]:{port} {kind} {key}\n"


def generate_key(path: Path, kind: str, *, passphrase: str = "", options: Sequence[str] = ()) -> Path:
    """A private key made by ssh-keygen, with its public half beside it; an RSA key is of the shortest good kind."""
    ssh_keygen = require_program("ssh-keygen", package="openssh-client")
    quick = ("-a", "1")  # one round of key derivation: these keys guard nothing
    if kind == "rsa" and "-b" not in options:
        options = (*options, "-b", "2048")
    command = [
        ssh_keygen,
        "-q",
        "-t",
        kind,
        "-N",
        passphrase,
        "-C",
        "test",
        "-f",
        str(path),
        *quick,
        *options,
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


def wait_until_listening(port: int, process: subprocess.Popen[bytes], *, within_s: float = 10.0) -> None:
    """Returns once the server process accepts connections on the port; raises OSError if it ended or never does."""
    end = time.monotonic() + within_s
    while True:
        try:
            socket.create_connection((HOST, port), timeout=1).close()
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.02)
        else:
            return


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Terminates a server that a test started, and makes sure of it."""
    process.terminate()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def openssh_server(
    folder: Path, options: Sequence[str] = (), *, sftp: str | None = "internal-sftp"
) -> Iterator[OpenSshServer]:
    """A server in `folder`; `options` are further lines of sshd_config, which come first and so win.

    `sftp` is the command of the subsystem, None for a server without.
    """
    sshd = require_program("sshd", package="openssh-server")
    folder.mkdir(parents=True, exist_ok=True)
    inbox = folder / "import"
    inbox.mkdir()
    for kind in HOST_KEY_KINDS:
        generate_key(folder / f"host_{kind}", kind)
    generate_key(folder / "client_ed25519", "ed25519")
    shutil.copy(folder / "client_ed25519.pub", folder / "authorized_keys")
    server = OpenSshServer(free_port(), folder, inbox, getpass.getuser())
    config = folder / "sshd_config"
    lines = [
        *options,
        f"ListenAddress {HOST}",
        f"Port {server.port}",
        *(f"HostKey {folder / f'host_{kind}'}" for kind in HOST_KEY_KINDS),
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin prohibit-password",
        f"AllowUsers {server.username}",
        "MaxStartups 100",
        "LogLevel VERBOSE",
        *([f"Subsystem sftp {sftp}"] if sftp else []),
    ]
    config.write_text("\n".join(lines) + "\n", encoding="utf-8")
    server.pin(server.port)
    _make_privilege_separation_folder()
    with (folder / "sshd.log").open("wb") as log:
        process = subprocess.Popen(
            [sshd, "-D", "-e", "-f", str(config)], stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        wait_until_listening(server.port, process)
        yield server
    finally:
        end_process(process)


def _make_privilege_separation_folder() -> None:
    """sshd as root insists on Debian's /run/sshd, which only its service makes."""
    if getpass.getuser() == "root":
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
