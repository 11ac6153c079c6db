"""The floors of a month: the least that any solution would have to do, by the plainest quick tool for each part.

1 reads the month's rows (psql, COPY), 2 writes a CSV per customer (pyarrow), 3 sends these files (lftp), and 4 is
Dagster's own. Nothing is checked, rounded, remembered or read back. A floor whose program is missing is left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from billing_pipeline.launch.instance import INSTANCE_YAML
from billing_pipeline.oms.period import period_of
from billing_pipeline.oms.queries import load_queries
from billing_pipeline_tests.benches import split_csv
from billing_pipeline_tests.benches.measured import Sample, measured
from billing_pipeline_tests.support.openssh import HOST, OpenSshServer
from billing_pipeline_tests.support.requires import find_program

CONNECTIONS = 4  # as many as the product opens, unless told otherwise


def copy_relations(oms_url: str, month: str, timezone: str, into: Path) -> Sample | None:
    """1: the product's own queries, each into a CSV file, by `psql`."""
    psql = find_program("psql")
    if psql is None:
        return None
    period = period_of(month, timezone)
    bounds = {"period_start": f"'{period.start.isoformat()}'", "period_end": f"'{period.end.isoformat()}'"}
    script = into / "copy.sql"
    script.write_text(
        "".join(
            f"COPY ({query.with_parameters(bounds)}) TO STDOUT (FORMAT csv, HEADER) \\g '{into / name}.csv'\n"
            for name, query in load_queries("postgresql", None).items()
        ),
        encoding="utf-8",
    )
    return measured([psql, oms_url, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--file={script}"])


def split_into_files(relations: Path, into: Path) -> Sample:
    """2: one CSV per customer of the rows that `copy_relations` wrote."""
    return measured([sys.executable, split_csv.__file__, relations, into])


def send_files(files: Path, server: OpenSshServer) -> Sample | None:
    """3: the files into the server's inbox, by `lftp` over as many connections as the product has."""
    lftp = find_program("lftp")
    if lftp is None:
        return None
    ssh = f"ssh -a -x -i {server.client_key} -o UserKnownHostsFile={server.known_hosts} -o BatchMode=yes"
    script = (
        f'set cmd:fail-exit yes; set sftp:connect-program "{ssh}"; '
        f"open -u {server.username}, -p {server.port} sftp://{HOST}; "
        f"mirror -R -P{CONNECTIONS} {files} {server.inbox}"
    )
    return measured([lftp, "--norc", "-c", script])


def record_in_dagster(home: Path, customers: int) -> Sample:
    """4: Dagster's records of so many customers in one run, on a new instance like the product's own."""
    home.mkdir()
    config = INSTANCE_YAML.format(runs=json.dumps(str(home / "history" / "runs")))
    (home / "dagster.yaml").write_text(config, encoding="utf-8")
    command = [sys.executable, "-m", "billing_pipeline_tests.benches.dagster_floor", str(customers)]
    return measured(command, {"DAGSTER_HOME": str(home)})
