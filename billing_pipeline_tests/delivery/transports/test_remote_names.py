"""Remote names cannot leave the remote directory, whatever they hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing_pipeline.delivery.transports.protocol import NameRefused, checked_path
from billing_pipeline.easybill.document import file_name


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/import",
        "/import/easybill_2026-10_10023.csv",
        "/import/.easybill_2026-10_10023.csv.ab12.tmp",
        "/srv/Eingang für Rechnungen/easybill_2026-10_10%2F2.csv",
        "/import/...",
    ],
)
def test_a_plain_absolute_path_passes_unchanged(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "import/a.csv",
        "/import/../archive/a.csv",
        "/import/..",
        "/import/./a.csv",
        "/import//a.csv",
        "/import/",
        "/import/..\\a.csv",
        "/import/a.csv\r\nDELE b.csv",
        "/import/a\x00.csv",
        "/import/a\x1b[2J.csv",
        "/import/\udcff.csv",
        "/import/a\u2028b.csv",
    ],
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(NameRefused):
        checked_path(path)


@given(st.text(max_size=40))
def test_a_name_that_passes_stays_in_its_directory(name: str) -> None:
    try:
        path = checked_path(f"/import/{name}")
    except NameRefused:
        return
    assert path.startswith("/import/")
    assert ".." not in path.split("/")
    assert all(character.isprintable() for character in path)


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40), st.integers(1, 99))
def test_whatever_a_customer_number_holds_its_file_stays_in_the_remote_directory(
    number: str, revision: int
) -> None:
    name = file_name("2026-10", number, revision)
    for path in (f"/import/{name}", f"/import/.{name}.0f3a.tmp"):
        assert checked_path(path) == path
        assert path.count("/") == 2
        assert path.isascii()


@pytest.mark.parametrize(
    "number", ["../../etc/passwd", "a/b", "..", "-r", "a\r\nDELE b", "\x00", "C:\\x", "~root", "*"]
)
def test_a_hostile_customer_number_is_spelled_out_in_the_name(number: str) -> None:
    name = file_name("2026-10", number)
    assert checked_path(f"/import/{name}") == f"/import/{name}"
    assert not set(name) & set("/\\\r\n\x00*~: ")
