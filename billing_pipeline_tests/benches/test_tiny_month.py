"""The whole bench on a tiny month: that everything is measured. How fast it was is asserted nowhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from billing_pipeline_tests.benches import performance_page as rows
from billing_pipeline_tests.benches.bench_oms import Size
from billing_pipeline_tests.benches.machine import machine
from billing_pipeline_tests.benches.month import MONTH, NEXT_MONTH, PACKAGES, measure, months_until_now
from billing_pipeline_tests.benches.performance_page import page
from billing_pipeline_tests.support.requires import require_program


@pytest.mark.timeout(600)
def test_everything_is_measured_on_a_tiny_month(postgres_url: str, tmp_path: Path) -> None:
    for program, package in PACKAGES.items():
        require_program(program, package=package)
    found = measure(
        "tiny", Size(5, 3), postgres_url, tmp_path / "tiny", repetitions=1, months_behind=1, say=print
    )
    assert set(found.samples) == set(rows.ORDER) - {rows.TOGETHER}
    assert all(sample.peak_bytes > 0 for samples in found.samples.values() for sample in samples)
    assert found.csv_bytes > 0
    assert found.store_bytes > 0
    assert "## tiny: 5 customers × 3 services" in page([found], machine(postgres_url))


def test_the_months_behind_end_with_the_measured_one_and_only_the_last_are_large() -> None:
    months = months_until_now(Size(200, 50), 12)
    assert next(iter(months)) == "2024-11"
    assert [*months, NEXT_MONTH][-2:] == [MONTH, NEXT_MONTH]
    assert list(months.values()) == [Size(50, 25)] * 9 + [Size(200, 50)] * 3
