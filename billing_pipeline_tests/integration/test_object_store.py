"""The store on an object store: frames, bytes and a whole month on a real S3 server, and what goes wrong there."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pandas as pd
import pyarrow as pa
import pytest

from billing_pipeline.store.blobs import BlobStore, StoreError, sha256_of
from billing_pipeline.store.frames import FrameMissing, FrameStore
from billing_pipeline_tests.support.installation import Installation, outcomes_in
from billing_pipeline_tests.support.s3 import BUCKET, S3, s3_server

MONTH = "2026-10"
STORE = f"s3://{BUCKET}/store"


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        # fsspec keeps one client per address of a store, and each test has a server of its own.
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        yield server
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def frame(*numbers: str) -> pd.DataFrame:
    return pd.DataFrame({"customer_number": pd.Series(numbers, dtype=pd.ArrowDtype(pa.string()))})


def test_a_frame_is_kept_under_its_hash_and_another_one_leaves_it_as_it_is(s3: S3) -> None:
    writer, reader = FrameStore(STORE), FrameStore(STORE)
    with pytest.raises(FrameMissing, match=f"run `billing-pipeline run {MONTH}`"):
        reader.read("oms_customers", MONTH, "0" * 64)
    contents = (frame("10023"), frame("10023", "00042"))
    hashes = [writer.write("oms_customers", MONTH, content) for content in (*contents, contents[0])]
    assert hashes[0] == hashes[2] != hashes[1]
    for content, sha256 in zip(contents, hashes, strict=False):
        pd.testing.assert_frame_equal(reader.read("oms_customers", MONTH, sha256), content)
    assert s3.objects() == sorted(
        f"store/frames/oms_customers/{MONTH}/{sha256}.parquet" for sha256 in hashes[:2]
    )


def test_a_damaged_frame_is_named_and_not_used(s3: S3) -> None:
    sha256 = FrameStore(STORE).write("oms_customers", MONTH, frame("10023"))
    (key,) = s3.objects()
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"PAR1")
    with pytest.raises(StoreError, match=f"{STORE}/frames/oms_customers/{MONTH}/.*is damaged; move it away"):
        FrameStore(STORE).read("oms_customers", MONTH, sha256)


def test_bytes_are_kept_once_and_verified_when_they_are_read(s3: S3) -> None:
    store = BlobStore(STORE)
    sha256 = store.put("csv", b"data")
    (key,) = s3.objects()
    kept = s3.client().head_object(Bucket=BUCKET, Key=key)["LastModified"]
    assert BlobStore(STORE).put("csv", b"data") == sha256
    assert s3.client().head_object(Bucket=BUCKET, Key=key)["LastModified"] == kept
    assert store.get("csv", sha256) == b"data"
    with pytest.raises(StoreError, match="has no csv"):
        store.get("csv", sha256_of(b"other"))
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"DATA")
    with pytest.raises(StoreError, match=f"{STORE}/csv/.*is damaged; move it away"):
        store.get("csv", sha256)


def test_a_bucket_that_is_not_there_is_named_and_not_made(s3: S3) -> None:
    with pytest.raises(StoreError, match=r"s3://biling/store cannot keep .*bucket"):
        FrameStore("s3://biling/store").try_out()
    with pytest.raises(StoreError, match=r"s3://biling/store cannot keep .*bucket"):
        BlobStore("s3://biling/store").put("csv", b"data")
    assert s3.buckets() == [BUCKET]


def test_a_store_out_of_reach_is_one_line_without_a_secret(s3: S3) -> None:
    frames, store = FrameStore(STORE), BlobStore(STORE)
    s3.server.stop()
    for ask in (lambda: frames.read("oms_customers", MONTH, "0" * 64), lambda: store.put("csv", b"data")):
        with pytest.raises(StoreError, match=f"^the store {STORE} cannot .*check BILLING_STORE_URL") as told:
            ask()
        assert "\n" not in str(told.value)
        assert "canary" not in str(told.value)


def test_a_whole_month_with_its_store_on_s3_and_not_twice(s3: S3, tmp_path: Path) -> None:
    installation = Installation(tmp_path, BILLING_STORE_URL=STORE)
    for number in ("10023", "00042"):
        installation.oms.customer(number)
        installation.oms.service(f"S-{number}", number)
    first = installation.command("run", MONTH, "--json")
    assert first.status == 0, first.err
    assert outcomes_in(first.json()) == {"10023": "delivered", "00042": "delivered"}
    delivered = installation.files()
    assert len(delivered) == 2
    for text in delivered.values():
        sha256 = sha256_of(text.encode())
        assert f"store/csv/{sha256[:2]}/{sha256}" in s3.objects()
    assert not (installation.home / "store").exists()
    assert set(outcomes_in(installation.run_json(MONTH)).values()) == {"unchanged"}
    assert installation.files() == delivered
    kept = set(s3.objects())
    doctor = {
        finding["subject"]: finding for finding in installation.command("doctor", "--json").json()["findings"]
    }
    assert doctor["store"]["ok"], doctor["store"]
    assert set(s3.objects()) == kept
    s3.server.stop()
    answer = installation.command("run", MONTH)
    assert answer.status == 3
    assert f"the store {STORE} cannot" in answer.err


def test_without_the_extra_the_command_names_it(tmp_path: Path) -> None:
    command = "import sys; sys.modules['s3fs'] = None; from billing_pipeline.cli.main import main; main()"
    told = subprocess.run(
        [sys.executable, "-c", command, "doctor"],
        env={**os.environ, "BILLING_HOME": str(tmp_path), "BILLING_STORE_URL": STORE},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 2, told.stderr
    (line,) = told.stderr.strip().splitlines()
    assert f"BILLING_STORE_URL {STORE}" in line
    assert "pip install 'billing-pipeline[s3]'" in line
