"""An SSH connection to a server whose key is pinned, logged in, with a bound on the time that it may cost.

Opens and closes; what is asked over it is `sftp`'s. The order holds whatever happens: the host key is compared
before any credential is sent, and the socket is closed at the end of the context. There is no agent, no look for
keys in the home directory, no prompt, and no SSHClient with its policies for unknown hosts.
"""

from __future__ import annotations

import errno
import logging
import shlex
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from paramiko import AuthenticationException, PKey, Transport
from paramiko.ssh_exception import BadAuthenticationType, IncompatiblePeer

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.network import connect_tcp
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    HostKeyChanged,
    HostKeyUnknown,
    InboxTimeout,
    LoginRefused,
    ServerTooOld,
)
from billing_pipeline.delivery.transports.ssh_keys import known_hosts_name

# What paramiko still offers though it is broken (MD5, 3DES) or attackable (CBC in SSH, truncated MACs).
_REFUSED_ALGORITHMS = {
    "ciphers": ["aes128-cbc", "aes192-cbc", "aes256-cbc", "3des-cbc"],
    "macs": ["hmac-md5", "hmac-md5-96", "hmac-sha1-96"],
}
# Asked for first: encrypted and authenticated in one pass. paramiko's own first choice has an HMAC beside it, made in
# Python for each packet, which was a tenth of a month's run.
_GCM = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com")
_RSA_SIGNATURES = ("rsa-sha2-512", "rsa-sha2-256")

# paramiko reports every failed connection as a traceback at ERROR, and logging prints such records to stderr where
# nobody has configured it. Whoever wants them still gets them: the records propagate.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Wire(socket.socket):
    """The TCP connection, with a deadline over all that is sent and received until the login stands.

    paramiko's own time-outs leave gaps: a write to a peer that reads no more is tried for ever, and an answer that
    comes a byte at a time starts its time-out anew with each. Past the deadline this socket fails, paramiko's reader
    ends, and with it every wait. After the login each thread keeps the time of what it sends (`sending_by`).
    """

    deadline: Deadline = Deadline.never()
    """By when the login has to stand."""

    expired: bool = False
    """Given up, for there was no answer in time."""

    ended: bool = False
    """Nothing goes over it any more."""

    _heard_at: float = 0.0

    @property
    def quiet_s(self) -> float:
        """Seconds since anything came over it."""
        return time.monotonic() - self._heard_at

    def give_up(self) -> None:
        """Ends the connection, for there was no answer in time."""
        self.expired = True
        self.cut()

    def cut(self) -> None:
        """Ends the connection at once, which also wakes whoever waits for it in another thread."""
        self.ended = True
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def send(self, data: bytes, flags: int = 0, /) -> int:  # type: ignore[override]
        self._check(getattr(_thread, "deadline", self.deadline))
        return super().send(data, flags)

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        self._check(self.deadline)
        data = super().recv(size, flags)
        self._heard_at = time.monotonic()
        return data

    def _check(self, deadline: Deadline) -> None:
        if deadline.is_over:
            # A packet of which only a part was sent: nothing can follow it.
            self.give_up()
            # Neither TimeoutError nor EAGAIN: paramiko takes those as "try again".
            raise OSError(errno.ECONNABORTED, "no answer in time")


_thread = threading.local()


@contextmanager
def sending_by(deadline: Deadline) -> Iterator[None]:
    """Whatever this thread sends over a `Wire` is gone by then, or the connection is given up."""
    _thread.deadline = deadline
    try:
        yield
    finally:
        del _thread.deadline


@dataclass(frozen=True, slots=True)
class Server:
    """Which server, and the keys that it may show. `known_hosts` is named in errors only."""

    host: str
    port: int
    known_hosts: Path
    pinned: tuple[PKey, ...]

    @property
    def name(self) -> str:
        """The server as known_hosts names it."""
        return known_hosts_name(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Login:
    """The account. With a private key, the password is sent only where the server asks for both."""

    username: str
    private_key: PKey | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


@contextmanager
def ssh_connection(server: Server, login: Login, timeout_s: float) -> Iterator[tuple[Transport, Wire]]:
    """A verified, logged-in connection, closed at the end of the context.

    Everything until the login stands takes at most `timeout_s`, name resolution aside; the deadline is then lifted.

    Raises: HostKeyUnknown, HostKeyChanged, ServerTooOld, LoginRefused; InboxUnavailable, InboxTimeout, ConnectionLost.
    """
    deadline = Deadline(timeout_s)
    settings = "BILLING_SFTP_HOST, BILLING_SFTP_PORT"
    wire = connect_tcp(Wire, server.host, server.port, deadline=deadline, settings=settings)
    wire.deadline = deadline
    try:
        transport = Transport(wire, disabled_algorithms=_REFUSED_ALGORITHMS)
        try:
            # paramiko's own time-outs come a little later, for they do not tell a slow server from one that refuses.
            transport.banner_timeout = transport.handshake_timeout = timeout_s + 1.0
            transport.auth_timeout = transport.channel_timeout = timeout_s + 1.0
            transport.clear_to_send_timeout = timeout_s + 1.0
            shown = _shake_hands(transport, wire, server)
            _check_host_key(shown, server)
            _log_in(transport, wire, server, login)
            wire.deadline = Deadline.never()
            yield transport, wire
        finally:
            _end(transport, wire)
    finally:
        wire.close()


def lost(
    server_name: str, wire: Wire, doing: str, error: BaseException | None = None, *, late: bool = False
) -> DeliveryError:
    """The error for a connection, or a channel of it, that ended while `doing`: by our deadline (`late`, or the whole
    connection's), or by the other side.
    """
    if late or wire.expired:
        return InboxTimeout(
            f"{server_name} gave no answer in time while {doing}; see whether the server is well, or raise "
            "BILLING_SFTP_TIMEOUT_S"
        )
    because = f" ({error})" if error is not None and str(error) else ""
    return ConnectionLost(f"{server_name} ended the connection while {doing}{because}")


def _shake_hands(transport: Transport, wire: Wire, server: Server) -> PKey:
    """Negotiates, and returns the key that the server has proven to hold."""
    options = transport.get_security_options()
    pinned = [
        algorithm
        for key in server.pinned
        for algorithm in (_RSA_SIGNATURES if key.get_name() == "ssh-rsa" else (key.get_name(),))
    ]
    # Pinned kinds first, so that a server with several keys shows a pinned one.
    options.key_types = tuple(dict.fromkeys([*pinned, *options.key_types]))
    options.ciphers = tuple(dict.fromkeys([*_GCM, *options.ciphers]))
    try:
        transport.start_client(timeout=wire.deadline.remaining_s)
        return transport.get_remote_server_key()
    except IncompatiblePeer as error:
        raise ServerTooOld(
            f"{server.name} offers no algorithm that is still safe ({error}); its operator must update it: SHA-1 "
            "signatures (ssh-rsa) and key exchanges, 3DES, CBC and MD5 are refused"
        ) from error
    except Exception as error:
        # paramiko hands on whatever it stumbled over in the server's bytes, of any type.
        raise lost(server.name, wire, "negotiating SSH", error) from error


def _check_host_key(shown: PKey, server: Server) -> None:
    if shown in server.pinned:
        return
    kind, fingerprint = shown.get_name(), shown.fingerprint
    pinned_in = f"{server.known_hosts} (BILLING_SFTP_KNOWN_HOSTS_FILE)"
    if not server.pinned:
        add = f"ssh-keyscan -p {server.port} {shlex.quote(server.host)} >> {shlex.quote(str(server.known_hosts))}"
        raise HostKeyUnknown(
            f"{server.name} is not in {pinned_in}; it shows {kind} {fingerprint}. Compare that with what the server's "
            f"operator tells you by another way, then add it: {add}. No credential was sent"
        )
    known = ", ".join(f"{key.get_name()} {key.fingerprint}" for key in server.pinned)
    raise HostKeyChanged(
        f"{server.name} shows the host key {kind} {fingerprint}, but {pinned_in} pins {known}. Either the server has a "
        "new key or somebody stands between: ask its operator, and change the file only if they confirm the new one. "
        "No credential was sent"
    )


def _log_in(transport: Transport, wire: Wire, server: Server, login: Login) -> None:
    try:
        if login.private_key is not None:
            still_wanted = transport.auth_publickey(login.username, login.private_key)
            if still_wanted and login.password is not None:
                transport.auth_password(login.username, login.password)
        elif login.password is not None:
            transport.auth_password(login.username, login.password)
    except AuthenticationException as error:
        if not transport.is_active():
            raise lost(server.name, wire, "logging in", error) from error
        raise _refused(server, login, error) from error
    except Exception as error:  # as above
        raise lost(server.name, wire, "logging in", error) from error
    if not transport.is_authenticated():
        raise _refused(server, login, None)


def _refused(server: Server, login: Login, error: AuthenticationException | None) -> LoginRefused:
    by, setting = "password", "BILLING_SFTP_PASSWORD"
    if login.private_key is not None:
        by, setting = f"private key ({login.private_key.get_name()})", "BILLING_SFTP_PRIVATE_KEY_FILE"
    elif login.password is None:
        by, setting = "nothing", "BILLING_SFTP_PASSWORD or BILLING_SFTP_PRIVATE_KEY_FILE"
    takes = (
        f"; it accepts: {', '.join(error.allowed_types)}" if isinstance(error, BadAuthenticationType) else ""
    )
    old = ""
    if login.private_key is not None and login.private_key.get_name() == "ssh-rsa":
        old = "; an old server may know RSA keys with SHA-1 only, which is not offered: an Ed25519 key avoids that"
    return LoginRefused(
        f"{server.name} refused the login of {login.username!r} by {by}{takes}; check BILLING_SFTP_USERNAME and "
        f"{setting}{old}"
    )


def _end(transport: Transport, wire: Wire) -> None:
    """Ends the connection without waiting for the other side; paramiko's thread is gone afterwards."""
    wire.cut()  # first, for it wakes paramiko's reader, which close() would leave to its next look
    transport.close()
    if transport.is_alive():
        transport.join(timeout=1.0)
