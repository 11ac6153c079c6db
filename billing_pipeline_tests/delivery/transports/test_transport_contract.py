"""What every transport must do, on every kind of inbox: a folder, two SFTP servers, three FTPS servers."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from billing_pipeline.deadline import Deadline
from billing_pipeline.delivery.transports import folder, ftps_data, sftp
from billing_pipeline.delivery.transports.protocol import (
    DeliveryError,
    InboxConnection,
    NameRefused,
    NameTaken,
    NotFound,
    Permanent,
    TooManyNames,
    Transient,
)
from billing_pipeline_tests.support.inbox_servers import FTPS, KINDS, SFTP, InboxServer, serving

CHUNK_BYTES = 32_768


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InboxServer]:
    with serving(request.param, tmp_path_factory.mktemp("inbox")) as running:
        yield running


@pytest.fixture
def inbox(server: InboxServer) -> Iterator[InboxConnection]:
    for path in server.local.iterdir():
        path.unlink()
    with server.transport.connect() as inbox:
        yield inbox


def test_it_is_a_transport_with_an_address_that_names_the_account(server: InboxServer) -> None:
    name = "sftp" if server.kind in SFTP else "ftps" if server.kind in FTPS else "folder"
    assert server.transport.name == name
    assert server.transport.address.startswith(f"{name}:")
    assert server.kind == "folder" or "@127.0.0.1:" in server.transport.address


@pytest.mark.parametrize("size", [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 300_001])
def test_what_is_created_is_read_back_byte_for_byte(
    server: InboxServer, inbox: InboxConnection, size: int
) -> None:
    data = os.urandom(size)
    path = f"{server.remote}/.a.tmp"
    inbox.create(path, data)
    assert (server.local / ".a.tmp").read_bytes() == data
    assert inbox.read(path) == data
    file = inbox.stat(path)
    assert file is not None
    assert file.size == size
    assert file.modified is not None
    assert abs(file.modified.timestamp() - time.time()) < 60


def test_line_ends_are_not_translated(server: InboxServer, inbox: InboxConnection) -> None:
    data = b"a\nb\r\nc\rd\x00\xff\xf4\xff\n"
    inbox.create(f"{server.remote}/.a.tmp", data)
    assert inbox.read(f"{server.remote}/.a.tmp") == data


def test_a_rename_moves_the_file_and_the_list_shows_it(server: InboxServer, inbox: InboxConnection) -> None:
    inbox.create(f"{server.remote}/.a.tmp", b"a")
    inbox.create(f"{server.remote}/0 ü.csv", b"0")
    inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/a.csv")
    assert inbox.list(server.remote) == ["0 ü.csv", "a.csv"]
    assert inbox.stat(f"{server.remote}/.a.tmp") is None
    assert inbox.read(f"{server.remote}/a.csv") == b"a"


def test_a_rename_never_overwrites(server: InboxServer, inbox: InboxConnection) -> None:
    inbox.create(f"{server.remote}/.a.tmp", b"new")
    inbox.create(f"{server.remote}/a.csv", b"old")
    with pytest.raises(NameTaken):
        inbox.rename(f"{server.remote}/.a.tmp", f"{server.remote}/a.csv")
    assert inbox.read(f"{server.remote}/a.csv") == b"old"
    assert inbox.read(f"{server.remote}/.a.tmp") == b"new"


def test_a_taken_name_is_not_created_again(server: InboxServer, inbox: InboxConnection) -> None:
    inbox.create(f"{server.remote}/a.csv", b"old")
    with pytest.raises(NameTaken):
        inbox.create(f"{server.remote}/a.csv", b"new and longer")
    assert inbox.read(f"{server.remote}/a.csv") == b"old"


def test_what_is_absent_is_absent_or_not_found(server: InboxServer, inbox: InboxConnection) -> None:
    absent = f"{server.remote}/absent.csv"
    assert inbox.stat(absent) is None
    assert inbox.stat(f"{server.remote}/no/such/folder.csv") is None
    inbox.remove(absent)
    inbox.create(f"{server.remote}/.a.tmp", b"")
    inbox.remove(f"{server.remote}/.a.tmp")
    assert inbox.list(server.remote) == []
    with pytest.raises(NotFound):
        inbox.read(absent)
    with pytest.raises(NotFound):
        inbox.rename(absent, f"{server.remote}/b.csv")
    remedy = "see to the folder" if server.kind == "folder" else "BILLING_REMOTE_DIR"
    with pytest.raises(NotFound, match=remedy):
        inbox.list(f"{server.remote}/nowhere")
    with pytest.raises(NotFound, match=remedy):
        inbox.create(f"{server.remote}/nowhere/a.csv", b"x")


def test_a_refusal_leaves_the_connection_usable(server: InboxServer, inbox: InboxConnection) -> None:
    with pytest.raises(DeliveryError) as caught:
        inbox.read(server.remote)  # a directory
    refusal = caught.value
    assert isinstance(refusal, Permanent) or (isinstance(refusal, Transient) and refusal.connection_usable)
    inbox.create(f"{server.remote}/.a.tmp", b"a")
    assert inbox.read(f"{server.remote}/.a.tmp") == b"a"


def test_a_file_is_read_no_further_than_asked(server: InboxServer, inbox: InboxConnection) -> None:
    data = os.urandom(3_000_000)
    (server.local / "a.csv").write_bytes(data)
    inbox.finish_by(Deadline(10.0))
    for _ in range(3):
        assert inbox.read(f"{server.remote}/a.csv", 10) == data[:10]
    assert inbox.read(f"{server.remote}/a.csv", len(data) + 1) == data


@pytest.mark.parametrize("expected", [3_000_000, 1_500_000, 2_999_999, 3_000_001, 5_000_000])
def test_a_large_file_is_read_as_it_is_whatever_size_was_expected(
    server: InboxServer, inbox: InboxConnection, expected: int
) -> None:
    data = os.urandom(3_000_000)
    inbox.create(f"{server.remote}/a.csv", data)
    assert inbox.read(f"{server.remote}/a.csv", expected + 1) == data[: expected + 1]
    assert inbox.read(f"{server.remote}/a.csv") == data


def test_a_directory_with_more_names_than_anybody_reads_is_refused(
    server: InboxServer, inbox: InboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (folder, sftp, ftps_data):
        monkeypatch.setattr(module, "MOST_NAMES", 3)
    for number in range(5):
        (server.local / f"{number}.csv").write_bytes(b"")
    with pytest.raises(TooManyNames, match="clear it out"):
        inbox.list(server.remote)
    (server.local / "0.csv").unlink()
    monkeypatch.undo()
    assert inbox.list(server.remote) == [f"{number}.csv" for number in range(1, 5)]


def test_a_deadline_that_is_over_ends_what_is_asked(server: InboxServer, inbox: InboxConnection) -> None:
    inbox.finish_by(Deadline(0.0))
    if server.kind == "folder":
        assert inbox.list(server.remote) == []
    else:
        with pytest.raises(Transient):
            inbox.list(server.remote)


@pytest.mark.parametrize(
    "path",
    [
        "{inbox}/../x",
        "{inbox}/../../etc/passwd",
        "{inbox}/..",
        "..",
        "x.csv",
        "{inbox}//a",
        "{inbox}/\\x",
        "{inbox}/a\nb",
        "{inbox}/x\r\nDELE {inbox}/a.csv",
    ],
)
def test_a_path_that_would_lead_elsewhere_is_never_asked_for(
    server: InboxServer, inbox: InboxConnection, path: str
) -> None:
    mine = f"{server.remote}/a.csv"
    path = path.format(inbox=server.remote)
    inbox.create(mine, b"a")
    for ask in (
        lambda: inbox.stat(path),
        lambda: inbox.create(path, b""),
        lambda: inbox.read(path),
        lambda: inbox.rename(mine, path),
        lambda: inbox.rename(path, mine),
        lambda: inbox.remove(path),
        lambda: inbox.list(path),
    ):
        with pytest.raises(NameRefused):
            ask()
    assert inbox.read(mine) == b"a"


def test_several_threads_each_have_a_connection_of_their_own(
    server: InboxServer, inbox: InboxConnection
) -> None:
    failures: list[BaseException] = []
    count = 4 if server.kind in FTPS else 6

    def deliver(number: int) -> None:
        try:
            with server.transport.connect() as own:
                own.create(f"{server.remote}/.{number}.tmp", b"x" * 100_000)
                own.rename(f"{server.remote}/.{number}.tmp", f"{server.remote}/{number}.csv")
        except BaseException as error:  # noqa: BLE001 - shown by the main thread
            failures.append(error)

    threads = [threading.Thread(target=deliver, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert inbox.list(server.remote) == [f"{number}.csv" for number in range(count)]


def test_no_thread_is_left_behind(server: InboxServer) -> None:
    before = threading.active_count()
    for _ in range(3):
        with server.transport.connect() as inbox:
            inbox.list(server.remote)
    # A cancelled timer's thread takes a moment to end.
    end = time.monotonic() + (2 if server.kind in FTPS else 0)
    while threading.active_count() > before and time.monotonic() < end:
        time.sleep(0.01)
    assert threading.active_count() <= before
