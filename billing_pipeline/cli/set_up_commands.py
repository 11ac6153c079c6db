"""The commands by which it is set up: a folder to start from, all settings tried, the demo, its UI, the sandbox."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from billing_pipeline.cli.help_text import SET_UP, add_command
from billing_pipeline.cli.options import (
    ALL_WELL,
    NEEDS_A_PERSON,
    AsJson,
    Everybody,
    print_customers,
    print_lines,
)
from billing_pipeline.problems import UsageError


def add_to(app: typer.Typer) -> None:
    """Registers the commands of this module."""
    add_command(app, SET_UP, init, "init billing", "init billing --oms sqlite")
    add_command(app, SET_UP, doctor, "doctor")
    add_command(app, SET_UP, demo, "demo", "demo --all")
    add_command(app, SET_UP, ui, "ui --port 3001")
    add_command(app, SET_UP, sandbox, "sandbox --state .billing/sandbox --port 2222")


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="DIR", help="A folder; it is made if it is not there.")
    ],
    oms: Annotated[
        Literal["postgresql", "sqlite"], typer.Option("--oms", help="The database of your OMS.")
    ] = "postgresql",
) -> None:
    """Write a commented .env, the rules and the four queries into a folder, to start from. Nothing is overwritten."""
    from billing_pipeline.steps.starting_folder import write_starting_folder

    print_lines(map(str, write_starting_folder(directory, oms)))
    typer.echo(
        f"Next: write BILLING_OMS_URL into {directory / '.env'}, go there (`cd {directory}`), and ask "
        "`billing-pipeline doctor` what is missing"
    )


def doctor(as_json: AsJson = False) -> None:
    """Try settings, OMS, ledger, store, inbox and API before it matters, and say what to fix."""
    from billing_pipeline.settings import load_settings
    from billing_pipeline.steps.doctor import examine

    findings = list(examine(load_settings()))
    if as_json:
        typer.echo(
            json.dumps(
                {"findings": [finding.as_json() for finding in findings]}, indent=2, ensure_ascii=False
            )
        )
    else:
        print_lines(line for finding in findings for line in finding.lines())
    raise typer.Exit(max((finding.exit_status for finding in findings), default=ALL_WELL))


def demo(everybody: Everybody = False) -> None:
    """Bill the last complete month of a made-up company into a sandbox of EASY Bill on this machine."""
    from billing_pipeline.launch.demo import run_demo
    from billing_pipeline.progress import progress_on

    with progress_on(sys.stderr) as progress:
        result = run_demo(progress=progress)
    print_customers(result.status, result.language, everybody=everybody)
    print_lines(result.lines())
    if result.error is not None:
        raise result.error
    # The demo's faults are deliberate: what is asked here is whether the drafts equal the files.
    raise typer.Exit(ALL_WELL if result.ties else NEEDS_A_PERSON)


def ui(
    port: Annotated[int, typer.Option("--port", help="Where the UI listens, on this machine.")] = 3000,
) -> None:
    """Open Dagster's web UI on the demo, with its sandbox, until Ctrl-C."""
    from billing_pipeline.launch.demo import serve_ui

    raise typer.Exit(serve_ui(port))


def sandbox(
    directory: Annotated[
        Path, typer.Option("--state", metavar="DIR", help="Where the sandbox keeps its state.")
    ] = Path(".billing/sandbox"),
    port: Annotated[int, typer.Option("--port", help="SFTP port; 0 takes a free one.")] = 0,
) -> None:
    """Run EASY Bill in a box on loopback, alone, until Ctrl-C."""
    from billing_pipeline.sandbox.sandbox_errors import SandboxError
    from billing_pipeline.sandbox.serve import serve

    try:
        serve(directory.expanduser().absolute(), sftp_port=port)
    except SandboxError as error:
        raise UsageError(str(error)) from error
