"""A TCP proxy on loopback that puts a distance between client and server: each byte comes so much later, no fewer come.

It runs in a process of its own, so that it takes no time from the one that is measured. Whatever has come is queued
with the time at which it is due, without a bound: the proxy delays, and never throttles.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

HOST = "127.0.0.1"


@contextmanager
def distant_proxy(target: int, one_way_s: float) -> Iterator[int]:
    """The port of a proxy to a port of this machine; a round trip over it takes two ways more."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(target, one_way_s, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield int(ours.recv())
    finally:
        process.terminate()
        process.join()


def _serve(target: int, one_way_s: float, told: Connection) -> None:
    async def serve() -> None:
        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            there_reader, there_writer = await asyncio.open_connection(HOST, target)
            for end in (writer, there_writer):
                end.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.gather(
                _one_way(reader, there_writer, one_way_s), _one_way(there_reader, writer, one_way_s)
            )

        server = await asyncio.start_server(carry, HOST, 0, backlog=128)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


async def _one_way(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay_s: float) -> None:
    loop = asyncio.get_running_loop()
    on_the_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def take_in() -> None:
        piece = b"-"
        while piece:
            try:
                piece = await reader.read(1 << 18)
            except OSError:
                piece = b""
            on_the_way.put_nowait((loop.time() + delay_s, piece))

    taking = asyncio.create_task(take_in())
    with suppress(OSError):
        while True:
            due, piece = await on_the_way.get()
            await asyncio.sleep(due - loop.time())
            if not piece:
                break
            writer.write(piece)
    writer.close()
    await taking
