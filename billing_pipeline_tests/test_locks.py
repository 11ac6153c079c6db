"""The lock files follow from pyproject.toml, hold a hash for every package, and name no registry; the wheel is whole.

Read from the files alone, without asking any index: `make lock` resolves anew.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

TOP = Path(__file__).parents[1]
EXTRAS = ("celery", "k8s", "s3")
# What each lock must hold: the project's own dependencies, and these of its extras and groups.
LOCKS = {
    "requirements.lock": ((), ("build",)),
    "requirements-dev.lock": (EXTRAS, ("build", "dev")),
    "deploy/requirements.lock": (EXTRAS, ("build",)),
}


def pins(text: str) -> dict[str, Requirement]:
    """The pinned packages of a lock file by their canonical names."""
    found = (Requirement(line.split("\\")[0]) for line in text.splitlines() if re.match(r"[a-zA-Z]", line))
    return {canonicalize_name(pin.name): pin for pin in found}


def without_a_hash(text: str) -> list[str]:
    """The pins that no hash follows."""
    entries = re.split(r"^(?=[a-zA-Z])", text, flags=re.MULTILINE)
    return [entry.splitlines()[0] for entry in entries if "==" in entry and "--hash=sha256:" not in entry]


def not_locked(requirements: list[str], locked: dict[str, Requirement]) -> list[str]:
    """The requirements that no pin satisfies."""
    return [
        text
        for text in requirements
        for requirement in [Requirement(text)]
        for pin in [locked.get(canonicalize_name(requirement.name))]
        if pin is None
        or not requirement.specifier.contains(str(pin.specifier).removeprefix("=="), prereleases=True)
        or not requirement.extras <= pin.extras
    ]


def project() -> dict[str, Any]:
    return tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf-8"))


def lock(name: str) -> str:
    return (TOP / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_satisfies_every_requirement_of_the_project(name: str) -> None:
    extras, groups = LOCKS[name]
    metadata = project()
    wanted = [
        *metadata["project"]["dependencies"],
        *(text for extra in extras for text in metadata["project"]["optional-dependencies"][extra]),
        *(text for group in groups for text in metadata["dependency-groups"][group]),
    ]
    assert not_locked(wanted, pins(lock(name))) == []


def test_every_extra_is_locked() -> None:
    assert set(project()["project"]["optional-dependencies"]) == set(EXTRAS)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_holds_a_hash_for_every_package_and_no_address(name: str) -> None:
    assert without_a_hash(lock(name)) == []
    assert not re.search(r"https?:|file:|@ ", lock(name))


def test_the_developers_and_the_images_versions_are_those_of_the_runtime() -> None:
    runtime, developers, image = (pins(lock(name)) for name in LOCKS)
    for package, pin in runtime.items():
        assert pin.specifier == developers[package].specifier == image[package].specifier


def test_what_is_missing_too_old_or_without_a_hash_is_seen() -> None:
    text = "one==1.0 \\\n    --hash=sha256:00\ntwo[extra]==2.0\n    # via one\n"
    assert without_a_hash(text) == ["two[extra]==2.0"]
    locked = pins(text)
    assert not_locked(["one>=1", "Two[extra]<3"], locked) == []
    assert not_locked(["one>=1.1", "two[other]", "three"], locked) == ["one>=1.1", "two[other]", "three"]


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path)]
    subprocess.run(command, cwd=TOP, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("billing_pipeline/")}
    package = TOP / "billing_pipeline"
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert packed == {str(path.relative_to(TOP)) for path in files}
