"""`require_program`: what it finds, and how a test without its program ends."""

from __future__ import annotations

import pytest

from billing_pipeline_tests.support.requires import require_program


def test_a_program_outside_of_path_is_found_among_the_daemons(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert require_program("useradd", package="passwd").endswith("sbin/useradd")


def test_a_missing_program_skips_and_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BILLING_REQUIRE_ALL_TESTS", raising=False)
    with pytest.raises(
        pytest.skip.Exception, match="no-such-program is not installed: apt-get install some-package"
    ):
        require_program("no-such-program", package="some-package")


def test_a_missing_program_fails_where_all_tests_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BILLING_REQUIRE_ALL_TESTS", "1")
    with pytest.raises(pytest.fail.Exception, match="apt-get install some-package"):
        require_program("no-such-program", package="some-package")
