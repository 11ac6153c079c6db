"""Many SFTP channels over a few SSH connections: who shares which, and how long an answer may take on each.

A connection is made when the ones that stand are full, one at a time, and ends with its last channel. A server that
refuses a further channel or connection is not asked for another one as long as a connection stands: what it allows is
what is used.

Time is kept for each channel. One that gives no answer is closed and the others go on; where nothing at all has come
over the connection for half a time-out, the connection is dead, and all its channels end with it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

from paramiko import Channel, ChannelException, SSHException, Transport

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports.protocol import DeliveryError, InboxInUse, InboxRefused
from billing_pipeline.delivery.transports.sftp_protocol import CHUNK_BYTES, SftpBroken, SftpSession
from billing_pipeline.delivery.transports.ssh_connection import (
    Login,
    Server,
    Wire,
    lost,
    sending_by,
    ssh_connection,
)


class TimedChannel:
    """The subsystem's channel; each answer is due, as a whole, within the time-out of its request or of the answer
    before it, and by `limit`. Raises: TimeoutError.
    """

    def __init__(self, channel: Channel, wire: Wire, timeout_s: float) -> None:
        self.limit = Deadline.never()
        self._channel = channel
        self._wire = wire
        self._timeout_s = timeout_s
        self._deadline = Deadline.never()
        self.renew()

    def sendall(self, data: bytes, /) -> None:
        """Sends all of it; each piece has the time-out."""
        for offset in range(0, len(data), CHUNK_BYTES):
            self.renew()
            left = data[offset : offset + CHUNK_BYTES]
            while left:
                with self._in_time():
                    sent = self._channel.send(left)
                if not sent:
                    raise SftpBroken("the server ended the connection")
                left = left[sent:]

    def recv(self, count: int, /) -> bytes:
        """What has come, at most `count` bytes."""
        with self._in_time():
            return self._channel.recv(count)

    def renew(self) -> None:
        """A request goes out, or an answer has come whole: the next one has its own time."""
        self._deadline = self.limit.within(self._timeout_s)

    def lost(self, server_name: str, doing: str, error: BaseException) -> DeliveryError:
        """Ends the channel, and with it a connection that carries nothing any more; the error for both."""
        if self._deadline.is_over and self._wire.quiet_s >= self._timeout_s / 2:
            self._wire.give_up()
        late = self._deadline.is_over and isinstance(error, TimeoutError)
        self.close()
        return lost(server_name, self._wire, doing, error, late=late)

    def close(self) -> None:
        """Ends the channel; what the server still answers goes nowhere."""
        with suppress(SSHException, EOFError, OSError), sending_by(Deadline(self._timeout_s)):
            self._channel.close()

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        if self._deadline.is_over:
            raise TimeoutError("no answer in time")
        self._channel.settimeout(self._deadline.remaining_s)
        with sending_by(self._deadline):
            yield


class _NoFurtherChannel(Exception):
    """The server refuses one more channel on a connection that has some."""


@dataclass(eq=False)
class _Connection:
    """One connection; `channels` in use or being opened, `proven` once one of them worked."""

    context: ExitStack
    transport: Transport
    wire: Wire
    channels: int = 1
    proven: bool = False

    @property
    def is_alive(self) -> bool:
        return self.transport.is_active() and not self.wire.ended


class SftpChannels:
    """Opens channels to one account, at most `channels` on each of at most `connections`; from any thread."""

    def __init__(
        self, server: Server, login: Login, timeout_s: float, *, address: str, connections: int, channels: int
    ) -> None:
        self._server = server
        self._login = login
        self._timeout_s = timeout_s
        self._address = address
        self._bounds = (connections, channels)
        self._changed = threading.Condition()
        self._connections: list[_Connection] = []
        self._opening = False
        self._failures = 0
        self._failure: DeliveryError | None = None
        self._connections_allowed, self._channels_allowed = self._bounds
        self._most_connections = 0

    @contextmanager
    def open(self) -> Iterator[tuple[SftpSession, TimedChannel]]:
        """A channel of its own, closed at the end of the context.

        Raises: as `ssh_connection`; InboxRefused where the account has no SFTP, InboxInUse where it may have no more.
        """
        while True:
            connection = self._seat()
            channel: TimedChannel | None = None
            try:
                session, channel = self._open_channel(connection)
                yield session, channel
                return
            except _NoFurtherChannel:
                continue
            finally:
                self._leave(connection, channel)

    def _seat(self) -> _Connection:
        """A connection that has room for one more channel, which is counted already."""
        with self._changed:
            while True:
                standing = [connection for connection in self._connections if connection.is_alive]
                for connection in standing:
                    if connection.channels < self._channels_allowed:
                        connection.channels += 1
                        return connection
                if not self._opening:
                    break
                failures = self._failures
                self._changed.wait()
                if self._failures != failures and self._failure is not None:
                    raise type(self._failure)(str(self._failure))
            if len(standing) >= self._connections_allowed:
                raise self._no_more()
            self._opening = True
        return self._connect()

    def _connect(self) -> _Connection:
        """One more connection, with a channel counted; those who wait for it are told how it went."""
        context, opened = ExitStack(), None
        try:
            transport, wire = context.enter_context(
                ssh_connection(self._server, self._login, self._timeout_s)
            )
            opened = _Connection(context, transport, wire)
            return opened
        except DeliveryError as error:
            failure = self._failed_to_connect(error)
            if failure is error:
                raise
            raise failure from error
        finally:
            with self._changed:
                self._opening = False
                if opened is not None:
                    self._connections.append(opened)
                    self._most_connections = max(self._most_connections, len(self._connections))
                self._changed.notify_all()

    def _failed_to_connect(self, error: DeliveryError) -> DeliveryError:
        """The error; where as many connections stand as ever did, the server allows no more of them."""
        with self._changed:
            standing = sum(connection.is_alive for connection in self._connections)
            if standing and standing >= self._most_connections:
                self._connections_allowed = standing
                error = self._no_more()
            self._failures += 1
            self._failure = error
            return error

    def _no_more(self) -> DeliveryError:
        return InboxInUse(
            f"{self._address} is in use with as many connections and channels as it allows, or as "
            "BILLING_SFTP_CONNECTIONS and BILLING_SFTP_CHANNELS do"
        )

    def _open_channel(self, connection: _Connection) -> tuple[SftpSession, TimedChannel]:
        deadline = Deadline(self._timeout_s)
        channel = None
        try:
            with sending_by(deadline):
                channel = connection.transport.open_session(timeout=self._timeout_s)
                _start_sftp(channel, deadline)
            timed = TimedChannel(channel, connection.wire, self._timeout_s)
            session = SftpSession(timed)
        except Exception as error:  # of any type: see ssh_connection
            if channel is not None:
                TimedChannel(channel, connection.wire, self._timeout_s).close()
            raise self._not_opened(connection, deadline, error) from error
        connection.proven = True
        return session, timed

    def _not_opened(self, connection: _Connection, deadline: Deadline, error: Exception) -> Exception:
        """What a channel that did not open tells."""
        refusal = isinstance(error, SSHException | SftpBroken) and not deadline.is_over
        if refusal and (isinstance(error, ChannelException) or _outlives(connection.transport)):
            if connection.proven:
                with self._changed:
                    self._channels_allowed = max(1, min(self._channels_allowed, connection.channels - 1))
                return _NoFurtherChannel()
            if isinstance(error, SSHException):
                return InboxRefused(
                    f"{self._address} lets the account in but gives it no SFTP ({error}); its operator must allow "
                    "the account the sftp subsystem"
                )
        if deadline.is_over and connection.wire.quiet_s >= self._timeout_s / 2:
            connection.wire.give_up()
        return lost(self._address, connection.wire, "opening SFTP", error, late=deadline.is_over)

    def _leave(self, connection: _Connection, channel: TimedChannel | None) -> None:
        """The channel is not used any more; the last one takes the connection with it."""
        with self._changed:
            connection.channels -= 1
            last = connection.channels == 0
            if last:
                self._connections.remove(connection)
            if not self._connections and not self._opening:
                self._connections_allowed, self._channels_allowed = self._bounds
                self._most_connections = 0
        if last:
            connection.context.close()
        elif channel is not None:
            channel.close()


def _start_sftp(channel: Channel, deadline: Deadline) -> None:
    """Asks for the subsystem; paramiko waits for the answer for ever, and is woken by closing the channel."""
    waking = threading.Timer(deadline.remaining_s, channel.close)
    waking.daemon = True
    waking.start()
    try:
        channel.invoke_subsystem("sftp")
    finally:
        waking.cancel()


def _outlives(transport: Transport) -> bool:
    """Whether the connection still stands after a refused channel; one that ends takes the channel with it first."""
    transport.join(timeout=0.5)
    return transport.is_active()
