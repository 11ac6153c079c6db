"""What is particular to the `folder` transport; the rest is in `test_transport_contract`."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from billing_pipeline.delivery.transports import folder
from billing_pipeline.delivery.transports.folder import FolderInbox, FolderTransport
from billing_pipeline.delivery.transports.protocol import (
    ConnectionLost,
    DeliveryError,
    InboxConnection,
    InboxUnavailable,
    NameRefused,
    NameTaken,
    NoSpace,
    NotFound,
    PermissionRefused,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    (root / "import").mkdir(parents=True)
    return root


@pytest.fixture
def inbox(root: Path) -> Iterator[InboxConnection]:
    with FolderTransport(root).connect() as inbox:
        yield inbox


def no_renameat2(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_renameat2", lambda: None)


def no_flags(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(source: Path, target: Path) -> bool:
        raise OSError(errno.EINVAL, "Invalid argument")

    monkeypatch.setattr(folder, "_rename_noreplace", refuses)


def no_links_either(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(self: Path, target: Path) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    no_renameat2(monkeypatch)
    monkeypatch.setattr(Path, "hardlink_to", refuses)


@pytest.mark.parametrize("lacking", [lambda _: None, no_renameat2, no_flags, no_links_either])
def test_renaming_never_overwrites_whatever_the_file_system_offers(
    inbox: InboxConnection, monkeypatch: pytest.MonkeyPatch, lacking: Callable[[pytest.MonkeyPatch], None]
) -> None:
    lacking(monkeypatch)
    inbox.create("/import/.a.tmp", b"ours")
    inbox.create("/import/a", b"theirs")
    with pytest.raises(NameTaken):
        inbox.rename("/import/.a.tmp", "/import/a")
    assert inbox.read("/import/a") == b"theirs"
    inbox.remove("/import/a")
    inbox.rename("/import/.a.tmp", "/import/a")
    assert (inbox.read("/import/a"), inbox.list("/import")) == (b"ours", ["a"])
    with pytest.raises(NotFound):
        inbox.rename("/import/.a.tmp", "/import/b")


@pytest.mark.parametrize(
    ("lacking", "one_step"),
    [(lambda _: None, True), (no_renameat2, False), (no_flags, False), (no_links_either, True)],
)
def test_it_says_whether_our_death_may_leave_both_names(
    inbox: InboxConnection,
    monkeypatch: pytest.MonkeyPatch,
    lacking: Callable[[pytest.MonkeyPatch], None],
    one_step: bool,
) -> None:
    lacking(monkeypatch)
    assert inbox.renames_in_one_step("/import") is one_step
    assert inbox.list("/import") == []


def test_a_file_with_both_names_is_in_doubt_and_not_refused(
    inbox: InboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_renameat2(monkeypatch)
    inbox.create("/import/.a.tmp", b"ours")

    def denied(self: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(ConnectionLost, match="both names"):
        inbox.rename("/import/.a.tmp", "/import/a")
    assert inbox.read("/import/a") == b"ours"


def test_a_rename_whose_directory_cannot_be_synced_is_in_doubt_and_not_refused(
    inbox: InboxConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    inbox.create("/import/.a.tmp", b"ours")

    def denied(directory: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(folder, "_sync_directory", denied)
    with pytest.raises(ConnectionLost, match="it was renamed"):
        inbox.rename("/import/.a.tmp", "/import/a")


def test_a_name_that_is_too_long_is_refused(inbox: InboxConnection) -> None:
    with pytest.raises(NameRefused, match="File name too long"):
        inbox.create(f"/import/{'a' * 300}", b"")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errno.ENOSPC, NoSpace),
        (errno.EACCES, PermissionRefused),
        (errno.EROFS, PermissionRefused),
        (errno.EIO, ConnectionLost),
        (errno.ESTALE, ConnectionLost),
    ],
)
def test_what_the_system_says_becomes_an_error_of_the_inbox(
    inbox: InboxConnection, monkeypatch: pytest.MonkeyPatch, code: int, kind: type[DeliveryError]
) -> None:
    def fails(handle: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(kind, match=r"folder:.*, creating /import/a: .*; see to the folder"):
        inbox.create("/import/a", b"data")


def test_a_share_that_is_not_mounted_is_unavailable(tmp_path: Path) -> None:
    with (
        pytest.raises(InboxUnavailable, match="mount the share, or check BILLING_FOLDER"),
        FolderTransport(tmp_path / "nothing").connect(),
    ):
        pass


def test_the_receiver_may_read_what_was_written(inbox: InboxConnection, root: Path) -> None:
    inbox.create("/import/a", b"data")
    assert stat.S_IMODE((root / "import" / "a").stat().st_mode) & 0o400


def test_on_this_system_a_rename_is_one_step(root: Path) -> None:
    """Where it is not, a kill between link and unlink leaves both names; the machine's docstring says what then."""
    if os.uname().sysname != "Linux":
        pytest.skip("renameat2 is Linux's")
    (root / "a").write_bytes(b"")
    assert folder._rename_noreplace(root / "a", root / "b")
    assert FolderInbox(root, "folder").list("/") == ["b", "import"]
