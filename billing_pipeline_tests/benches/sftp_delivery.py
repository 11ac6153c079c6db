"""200 files of 50 lines into an OpenSSH inbox over a round trip of 30 ms: planned, read back and in the ledger.

The floors are the same files over the same way by `lftp -P8` and by eight threads of paramiko's own `put`, neither of
which reads back, renames or keeps a ledger.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from paramiko import Ed25519Key, SFTPClient, Transport

from billing_pipeline.delivery.context import Places
from billing_pipeline.delivery.files.pool import deliver_all
from billing_pipeline.delivery.ledger import open_ledger
from billing_pipeline.settings import Settings
from billing_pipeline.store.blobs import BlobStore
from billing_pipeline_tests.benches.figure import Figure
from billing_pipeline_tests.support.delivering import context_over
from billing_pipeline_tests.support.distant_proxy import HOST, distant_proxy
from billing_pipeline_tests.support.openssh import OpenSshServer, openssh_server
from billing_pipeline_tests.support.parcels import parcel
from billing_pipeline_tests.support.requires import find_program

FILES, LINES, LINE_BYTES = 200, 50, 240
ONE_WAY_S = 0.015
ROUNDS = 5
GOAL_RATIO = 1.5
AT_ONCE = 8


def figures() -> Iterator[Figure]:
    """Medians and ranges, the ways interleaved; then the ratio to lftp."""
    files = {f"{number:05}.csv": _file(number) for number in range(FILES)}
    with tempfile.TemporaryDirectory() as name, openssh_server(Path(name) / "server") as server:
        folder = Path(name)
        (folder / "files").mkdir()
        for file, data in files.items():
            (folder / "files" / file).write_bytes(data)
        with distant_proxy(server.port, ONE_WAY_S) as port:
            server.pin(port)
            ways: dict[str, Callable[[Path], Callable[[], None]]] = {
                "paramiko put x8": lambda into: _paramiko(server, port, files, into),
                "deliver_all": lambda into: _deliver(server, port, list(files.values()), into),
            }
            if find_program("lftp"):
                ways["lftp -P8"] = lambda into: _lftp(server, port, folder / "files", into)
            else:
                print("  lftp is not installed, and left out: apt-get install lftp")
            taken = _interleaved(ways, folder)
    for way, seconds in taken.items():
        spread = f"{min(seconds):.2f} to {max(seconds):.2f}"
        yield Figure(f"{way}, {FILES} files ({spread})", statistics.median(seconds), "s")
    if "lftp -P8" in taken:
        ratio = statistics.median(taken["deliver_all"]) / statistics.median(taken["lftp -P8"])
        load = os.getloadavg()[0]
        yield Figure(f"deliver_all / lftp -P8 (load {load:.1f} at the end)", ratio, "x", GOAL_RATIO)


def _interleaved(
    ways: dict[str, Callable[[Path], Callable[[], None]]], folder: Path
) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(ROUNDS):
        for way, prepare in ways.items():
            into = folder / f"{way.split()[0]}-{number}"
            into.mkdir()
            send = prepare(into)
            started = time.perf_counter()
            send()
            taken[way].append(time.perf_counter() - started)
            arrived = sum(file.stat().st_size for file in into.glob("*.csv"))
            if arrived != FILES * LINES * LINE_BYTES:
                raise RuntimeError(f"{way} did not deliver every file whole")
    return taken


def _file(number: int) -> bytes:
    line = f"2026-10-{number:05};" + "x" * (LINE_BYTES - 15) + "\n"
    return (line * LINES).encode()


def _deliver(server: OpenSshServer, port: int, files: Sequence[bytes], into: Path) -> Callable[[], None]:
    """As a run does it, from the stored file on; the files and records of the month are made before."""
    defaults = Settings()
    ledger = open_ledger(f"sqlite:///{into}/ledger.db")
    store = BlobStore(into / "store")
    parcels = [parcel(f"{number:05}", data, store=store) for number, data in enumerate(files)]
    ledger.months.record_exports([each.export for each in parcels], "run")
    transport = server.transport(timeout_s=30.0, port=port)
    context = context_over(transport, ledger, store, places=Places(str(into)))
    connections = defaults.sftp_connections * defaults.sftp_channels

    def send() -> None:
        results = list(deliver_all(parcels, transport, context, connections=connections, timeout_s=30.0))
        if {result.outcome for result in results} != {"delivered"}:
            raise RuntimeError("not every file was delivered")

    return send


def _paramiko(server: OpenSshServer, port: int, files: dict[str, bytes], into: Path) -> Callable[[], None]:
    names = sorted(files)

    def send_share(share: int) -> None:
        transport = Transport((HOST, port))
        transport.connect(
            username=server.username, pkey=Ed25519Key.from_private_key_file(str(server.client_key))
        )
        client = SFTPClient.from_transport(transport)
        if client is None:
            raise RuntimeError("no SFTP")
        for name in names[share::AT_ONCE]:
            with client.open(str(into / name), "wx") as file:
                file.set_pipelined(True)
                file.write(files[name])
        transport.close()

    def send() -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(send_share, range(AT_ONCE)))

    return send


def _lftp(server: OpenSshServer, port: int, files: Path, into: Path) -> Callable[[], None]:
    ssh = f"ssh -a -x -i {server.client_key} -o UserKnownHostsFile={server.known_hosts} -o IdentitiesOnly=yes"
    script = (
        f"set sftp:connect-program '{ssh}'; set net:connection-limit {AT_ONCE}; set cmd:fail-exit yes; "
        f"open -u {server.username}, -p {port} sftp://{HOST}; "
        f"mirror -R --parallel={AT_ONCE} --no-perms {files} {into}"
    )

    def send() -> None:
        subprocess.run(["lftp", "-c", script], check=True, stdin=subprocess.DEVNULL)

    return send
