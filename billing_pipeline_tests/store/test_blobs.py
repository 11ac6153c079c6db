"""The content-addressed store: written once, verified on reading."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import fsspec
import pytest

from billing_pipeline.store.blobs import BlobStore, Kind, StoreError, sha256_of
from billing_pipeline.store.store_files import StoreFiles, StoreUrlInvalid


@pytest.fixture
def store(tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "store")


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_bytes_are_found_under_their_own_hash(store: BlobStore) -> None:
    sha256 = store.put("csv", b"data")
    assert sha256 == sha256_of(b"data")
    assert store.get("csv", sha256) == b"data"
    assert store.put("csv", b"") == sha256_of(b"")


def test_what_is_there_is_not_written_again(store: BlobStore, tmp_path: Path) -> None:
    store.put("csv", b"data")
    [file] = files_in(tmp_path / "store")
    before = file.stat()
    store.put("csv", b"data")
    assert file.stat().st_ino == before.st_ino
    assert file.stat().st_mtime_ns == before.st_mtime_ns


def test_kinds_are_kept_apart(store: BlobStore) -> None:
    sha256 = store.put("csv", b"data")
    with pytest.raises(StoreError, match="has no document"):
        store.get("document", sha256)


@pytest.mark.parametrize("damage", [b"", b"dat", b"DATA"])
def test_damaged_bytes_are_never_handed_out_nor_kept_for_good(
    store: BlobStore, tmp_path: Path, damage: bytes
) -> None:
    sha256 = store.put("csv", b"data")
    [file] = files_in(tmp_path / "store")
    file.write_bytes(damage)
    with pytest.raises(StoreError, match="is damaged; move it away"):
        store.get("csv", sha256)
    with pytest.raises(StoreError, match="is damaged; move it away"):
        store.put("csv", b"data")


@pytest.mark.parametrize("kind", ["csv", "document"])
def test_the_store_has_only_what_is_there_and_undamaged(store: BlobStore, tmp_path: Path, kind: Kind) -> None:
    assert not store.has(kind, sha256_of(b"data"))
    sha256 = store.put(kind, b"data")
    assert store.has(kind, sha256)
    [file] = files_in(tmp_path / "store")
    file.write_bytes(file.read_bytes()[:-1])
    assert not store.has(kind, sha256)


def test_several_writers_of_the_same_bytes_leave_one_file(store: BlobStore, tmp_path: Path) -> None:
    data = b"x" * 100_000
    writers = [threading.Thread(target=store.put, args=("csv", data)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(files_in(tmp_path / "store")) == 1
    assert store.get("csv", sha256_of(data)) == data


def test_a_store_on_an_object_store_works_alike() -> None:
    store = BlobStore("memory://bucket/store")
    sha256 = store.put("csv", b"data")
    assert BlobStore("memory://bucket/store").get("csv", sha256) == b"data"
    fsspec.filesystem("memory").pipe_file(f"/bucket/store/csv/{sha256[:2]}/{sha256}", b"other")
    with pytest.raises(StoreError, match="is damaged"):
        store.get("csv", sha256)


def test_a_store_that_cannot_be_written_names_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"cannot .* Not a directory: .*; check BILLING_STORE_URL$"):
        BlobStore(tmp_path / "file" / "store").put("csv", b"data")
    with pytest.raises(StoreError, match="BILLING_STORE_URL") as refused:
        BlobStore("nosuchscheme://bucket")
    assert refused.value.exit_status == 2


def test_a_folder_is_the_same_by_its_path_and_by_its_url(tmp_path: Path) -> None:
    plain, by_url = StoreFiles(tmp_path / "store"), StoreFiles(f"file://{tmp_path}/store")
    plain.write("csv/a", b"data")
    (tmp_path / "store" / "csv" / "deeper").mkdir()
    os.utime(tmp_path / "store" / "csv" / "a", (1_700_000_000, 1_700_000_000))
    questions: tuple[Callable[[StoreFiles], object], ...] = (
        lambda files: files.place("csv/a"),
        lambda files: files.read("csv/a"),
        lambda files: (files.has("csv/a"), files.has("csv/b")),
        lambda files: (files.list("csv"), files.list("nothing")),
        lambda files: files.modified("csv/a"),
    )
    for ask in questions:
        assert ask(plain) == ask(by_url)
    for files in (plain, by_url):
        for method in (files.read, files.modified, files.remove):
            with pytest.raises(FileNotFoundError):
                method("csv/b")
    plain.remove("csv/a")
    assert not by_url.has("csv/a")


def test_a_password_in_the_stores_address_is_shown_nowhere() -> None:
    files = StoreFiles("memory://user:canary@bucket/store")
    assert files.url == "memory://user@bucket/store"
    with pytest.raises(StoreUrlInvalid, match="nosuchscheme://user@bucket") as refused:
        StoreFiles("nosuchscheme://user:canary@bucket")
    assert "canary" not in str(refused.value)


def test_documents_are_kept_compressed_and_read_as_they_were(store: BlobStore, tmp_path: Path) -> None:
    data = b'{"lines":[' + b",".join([b'{"title":"Battery change"}'] * 1000) + b"]}"
    sha256 = store.put("document", data)
    [file] = files_in(tmp_path / "store")
    assert (sha256, file.name) == (sha256_of(data), sha256)
    assert file.stat().st_size < len(data) / 10
    assert store.get("document", sha256) == data
    packed = file.read_bytes()
    for place in range(0, len(packed), 7):
        file.write_bytes(packed[:place] + bytes([packed[place] ^ 1]) + packed[place + 1 :])
        with pytest.raises(StoreError, match="is damaged"):
            store.get("document", sha256)


def test_documents_that_an_older_release_kept_uncompressed_are_read(store: BlobStore, tmp_path: Path) -> None:
    data = b'{"lines":[]}'
    sha256 = store.put("document", data)
    [file] = files_in(tmp_path / "store")
    file.write_bytes(data)
    assert store.get("document", sha256) == data
    assert store.put("document", data) == sha256
    assert file.read_bytes() == data
