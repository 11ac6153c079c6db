"""An FTP connection under TLS to a server whose certificate verifies, logged in, with a bound on the time it may cost.

Opens and closes; what is asked over it is `ftps`'s. TLS is explicit (AUTH TLS, RFC 4217) and comes before any
credential; data goes over TLS too (PROT P) and resumes the session of the control connection, which vsftpd and others
demand as the proof that both are the same client's.
"""

from __future__ import annotations

import ftplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.network import connect_tcp
from billing_pipeline.delivery.transports.protocol import (
    CertificateRefused,
    ConnectionLost,
    DeliveryError,
    InboxRefused,
    InboxTimeout,
    InboxUnavailable,
    LoginRefused,
    ServerTooOld,
)
from billing_pipeline.problems import UsageError

BROKEN = (OSError, EOFError, UnicodeError, ftplib.Error)
"""What ftplib raises when the conversation cannot go on, once the refusals `error_perm` and `error_temp` are caught."""

_LONGEST_ANSWER = 100_000

_OLD_TLS = (
    "UNSUPPORTED_PROTOCOL",
    "NO_PROTOCOLS_AVAILABLE",
    "TLSV1_ALERT_PROTOCOL_VERSION",
    "WRONG_SSL_VERSION",
)


class Watchdog:
    """Cuts the sockets under a conversation once an answer takes too long, however slowly its bytes may come.

    ftplib waits for each piece of an answer anew, so that its time-outs bound no answer as a whole.
    """

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self.limit = Deadline.never()
        """By when all that is asked has to be done."""
        self.expired = False
        self._sockets: list[socket.socket] = []
        self._timer: threading.Timer | None = None

    def watch(self, connection: socket.socket) -> None:
        """From now on this socket is cut too."""
        self._sockets = [known for known in self._sockets if known.fileno() != -1] + [connection]

    def start(self) -> None:
        """The answer is due within the time-out, and by the limit; called again, the time starts again."""
        self.stop()
        self._timer = threading.Timer(self.limit.within(self.timeout_s).remaining_s, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def stop(self) -> None:
        """Nothing is waited for."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def cut(self) -> None:
        """Ends every connection at once, which wakes whoever waits for it."""
        for connection in self._sockets:
            # SSLSocket.shutdown() would also take the TLS away and so let later bytes go out in the clear.
            with suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _expire(self) -> None:
        self.expired = True
        self.cut()


class Ftp(ftplib.FTP_TLS):
    """ftplib's client, whose data connections resume the control connection's TLS session and are watched.

    `prot_p` is not used: with it, ftplib would negotiate TLS for data by itself, and without the session.
    """

    watchdog: Watchdog

    def getline(self) -> str:
        """One whole line. ftplib takes the beginning of an answer, cut off by the end of the connection, for all of it:
        a size would lose its last digits.
        """
        line = "" if self.file is None else self.file.readline(self.maxline + 1)
        if len(line) > self.maxline or not line.endswith("\n"):
            raise EOFError
        return line.rstrip("\r\n")

    def getmultiline(self) -> str:
        """One whole answer. ftplib would take in lines for as long as the server sends them."""
        lines, size = [self.getline()], 0
        code = lines[0][:3]
        while lines[0][3:4] == "-" and (len(lines) == 1 or lines[-1][:3] != code or lines[-1][3:4] == "-"):
            lines.append(self.getline())
            size += len(lines[-1]) + 1
            if size > _LONGEST_ANSWER:
                raise ftplib.error_proto("an answer without end")  # noqa: S321 (nothing is called)
        return "\n".join(lines)

    def ntransfercmd(self, cmd: str, rest: int | str | None = None) -> tuple[socket.socket, int | None]:
        # The connection is made before the watchdog knows of it.
        self.timeout = self.watchdog.limit.within(self.watchdog.timeout_s).remaining_s or 0.001
        plain, size = super().ntransfercmd(cmd, rest)
        plain.settimeout(self.watchdog.timeout_s + 1.0)
        session = self.sock.session if isinstance(self.sock, ssl.SSLSocket) else None
        return self.protect(plain, session), size

    def protect(self, plain: socket.socket, session: ssl.SSLSession | None = None) -> ssl.SSLSocket:
        """TLS over a connection, watched from its first byte on; closed if it cannot be had."""
        secured = self.context.wrap_socket(
            plain, server_hostname=self.host, session=session, do_handshake_on_connect=False
        )
        self.watchdog.watch(secured)
        try:
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured


@dataclass(frozen=True, slots=True)
class Account:
    """Which server, and the account on it."""

    host: str
    port: int
    username: str
    password: str = field(repr=False)

    @property
    def address(self) -> str:
        """`ftps://user@host:port`: the account is part of it, for another one may see other files."""
        return f"ftps://{self.username}@{self.host}:{self.port}"


def verifying_context(ca_file: Path | None) -> ssl.SSLContext:
    """TLS 1.2 or later, the certificate and the host's name verified; `ca_file` None: by the system's authorities.

    Raises: UsageError if the file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"BILLING_FTPS_CA_FILE: cannot use {ca_file} ({error}); it must hold certificates in PEM format"
        ) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


@contextmanager
def ftps_connection(account: Account, context: ssl.SSLContext, timeout_s: float) -> Iterator[Ftp]:
    """A verified, logged-in connection with protected data, closed at the end of the context.

    Everything until the login stands takes at most `timeout_s`, name resolution aside.

    Raises: CertificateRefused, ServerTooOld, LoginRefused, InboxRefused; InboxUnavailable, InboxTimeout,
    ConnectionLost.
    """
    watchdog = Watchdog(timeout_s)
    settings = "BILLING_FTPS_HOST, BILLING_FTPS_PORT"
    plain = connect_tcp(
        socket.socket, account.host, account.port, deadline=Deadline(timeout_s), settings=settings
    )
    # A little longer than the watchdog, which tells a slow server from one that ends the connection.
    ftp = Ftp(context=context, timeout=timeout_s + 1.0)
    ftp.watchdog = watchdog
    try:
        plain.settimeout(timeout_s + 1.0)
        _use(ftp, plain, account.host)
        watchdog.watch(plain)
        watchdog.start()
        _greet(ftp, account)
        _secure(ftp, account)
        _log_in(ftp, account)
        watchdog.stop()
        yield ftp
        # No wait for the answer: everything that matters has been answered.
        with suppress(*BROKEN):
            ftp.putcmd("QUIT")
    finally:
        watchdog.stop()
        watchdog.cut()
        ftp.close()
        plain.close()


def lost(address: str, watchdog: Watchdog, doing: str, error: BaseException) -> DeliveryError:
    """The error for a conversation that ended while `doing`: by our watchdog, or by the other side."""
    if watchdog.expired or isinstance(error, TimeoutError):
        return InboxTimeout(
            f"{address} gave no answer in time while {doing}; see whether the server is well, or raise "
            "BILLING_FTPS_TIMEOUT_S"
        )
    return ConnectionLost(
        f"{address} ended the connection while {doing} ({one_line(error) or 'without a word'})"
    )


def one_line(error: BaseException) -> str:
    """A server's answer, which may have several lines, for a message of one line."""
    return " ".join(str(error).split())


def _use(ftp: Ftp, connection: socket.socket, host: str) -> None:
    """What `FTP.connect` does, with a connection of our own."""
    ftp.host = host
    ftp.sock = connection
    ftp.af = connection.family
    # A name that is not UTF-8 must not end the conversation: it becomes lone surrogates, and equals none of ours.
    ftp.file = connection.makefile("r", encoding="utf-8", errors="surrogateescape")


def _greet(ftp: Ftp, account: Account) -> None:
    try:
        ftp.welcome = ftp.getresp()
    except ftplib.error_temp as error:
        raise InboxUnavailable(f"{account.address} takes no connection now ({one_line(error)})") from error
    except ftplib.error_perm as error:
        raise InboxRefused(f"{account.address} takes no connection from here ({one_line(error)})") from error
    except BROKEN as error:
        raise lost(account.address, ftp.watchdog, "greeting", error) from error


def _secure(ftp: Ftp, account: Account) -> None:
    try:
        ftp.voidcmd("AUTH TLS")
    except (ftplib.error_perm, ftplib.error_temp) as error:
        raise InboxRefused(
            f"{account.address} offers no TLS ({one_line(error)}); its operator must enable explicit FTPS. "
            "No credential was sent"
        ) from error
    except BROKEN as error:
        raise lost(account.address, ftp.watchdog, "asking for TLS", error) from error
    plain = ftp.sock
    if plain is None:
        raise ConnectionLost(f"{account.address} ended the connection while asking for TLS")
    try:
        secured = ftp.protect(plain)
    except ssl.SSLCertVerificationError as error:
        raise CertificateRefused(
            f"the certificate of {account.address} does not verify ({error.verify_message}); check BILLING_FTPS_HOST "
            "against its names, and BILLING_FTPS_CA_FILE. No credential was sent"
        ) from error
    except OSError as error:
        if isinstance(error, ssl.SSLError) and error.reason in _OLD_TLS:
            raise ServerTooOld(
                f"{account.address} knows no TLS later than 1.1 ({error.reason}); its operator must enable 1.2 or 1.3"
            ) from error
        raise lost(account.address, ftp.watchdog, "negotiating TLS", error) from error
    _use(ftp, secured, account.host)


def _log_in(ftp: Ftp, account: Account) -> None:
    try:
        ftp.login(account.username, account.password, secure=False)
    except ftplib.error_perm as error:
        raise LoginRefused(
            f"{account.address} refused the login ({one_line(error)}); check BILLING_FTPS_USERNAME and "
            "BILLING_FTPS_PASSWORD"
        ) from error
    except ftplib.error_temp as error:
        raise InboxUnavailable(f"{account.address} takes no login now ({one_line(error)})") from error
    except BROKEN as error:
        raise lost(account.address, ftp.watchdog, "logging in", error) from error
    try:
        for command in ("PBSZ 0", "PROT P", "TYPE I"):
            ftp.voidcmd(command)
    except (ftplib.error_perm, ftplib.error_temp) as error:
        raise InboxRefused(
            f"{account.address} does not protect data connections ({one_line(error)}); its operator must allow PROT P"
        ) from error
    except BROKEN as error:
        raise lost(account.address, ftp.watchdog, "protecting data connections", error) from error
