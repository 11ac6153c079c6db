"""Makes the golden files that are missing. Never overwrites: delete a file first, and review what comes back."""

from __future__ import annotations

import sys
from pathlib import Path

from billing_pipeline.easybill.render import render_csv
from billing_pipeline_tests.golden.documents import CASES

FOLDER = Path(__file__).parent


def regenerate(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the files made, and of those left alone because they are there and would change."""
    made, refused = [], []
    for name, (document, layout) in CASES.items():
        path, data = folder / f"{name}.csv", render_csv(document, layout)
        try:
            with path.open("xb") as file:
                file.write(data)
            made.append(path.name)
        except FileExistsError:
            if path.read_bytes() != data:
                refused.append(path.name)
    return made, refused


if __name__ == "__main__":
    made, refused = regenerate(FOLDER)
    sys.stdout.write("".join(f"made {name}: read it byte by byte before you commit it\n" for name in made))
    sys.stderr.write(
        "".join(f"refused {name}: it would change; delete it first, on purpose\n" for name in refused)
    )
    sys.exit(1 if refused else 0)
