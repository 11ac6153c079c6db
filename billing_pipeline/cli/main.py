"""The command line, thin: it reads arguments and settings, calls a step or a launch, and prints.

Results go to stdout, progress and errors to stderr. Exit status: 0 all well; 1 customers are blocked, failed or
held; 2 usage or settings, or a month that is not over or settled; 3 the run itself failed. An error is one line
that names the setting or row and the remedy; a traceback appears only with `--debug`.
"""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from billing_pipeline.cli import (
    approval_commands,
    decision_commands,
    lookup_commands,
    month_commands,
    report_command,
    set_up_commands,
    upkeep_commands,
    verify_command,
)
from billing_pipeline.cli.help_text import PROGRAM, GroupedHelp
from billing_pipeline.cli.options import ALL_WELL, RUN_FAILED, USAGE
from billing_pipeline.collector import collect_less_often
from billing_pipeline.problems import PipelineError

app = typer.Typer(
    name=PROGRAM,
    cls=GroupedHelp,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Bills a month: OMS rows to one verified CSV per customer in EASY Bill's inbox.",
)


@app.callback()
def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
) -> None:
    context.obj = {"debug": debug}


# Dagster, pandas and paramiko take seconds to load: each command imports what it needs itself, so that `--help`,
# a usage error and `status` answer at once.
month_commands.add_to(app)
approval_commands.add_to(app)
report_command.add_to(app)
decision_commands.add_to(app)
lookup_commands.add_to(app)
verify_command.add_to(app)
set_up_commands.add_to(app)
upkeep_commands.add_to(app)


def main() -> None:
    """The console script: runs a command and exits with its status."""
    collect_less_often()
    sys.exit(_status_of(sys.argv[1:]))


def _status_of(arguments: list[str]) -> int:
    debug = "--debug" in arguments
    try:
        code = app(args=_debug_first(arguments), prog_name=PROGRAM, standalone_mode=False)
    except PipelineError as error:
        return _fail(str(error), error.exit_status, debug)
    except typer.Exit as done:
        return done.exit_code
    except KeyboardInterrupt:
        return _fail("interrupted; what was recorded stands, run the same command to go on", 130, debug)
    except BrokenPipeError:
        # The reader (head, less) has gone; stdout must not be flushed again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ALL_WELL
    except Exception as error:  # noqa: BLE001 - the last stop: people get one line, whatever it was
        usage = getattr(error, "format_message", None)
        if type(error).__name__ == "NoArgsIsHelpError" and usage is not None:
            typer.echo(usage(), err=True)
            return USAGE
        if usage is not None:  # click's own: a wrong option or argument
            return _fail(usage(), USAGE, debug)
        return _fail(
            f"internal error ({type(error).__name__}: {error}); run it again with --debug and report the trace",
            RUN_FAILED,
            debug,
        )
    return code if isinstance(code, int) else ALL_WELL


def _debug_first(arguments: list[str]) -> list[str]:
    """`--debug` is accepted anywhere on the line, as people type it after the fact."""
    rest = [argument for argument in arguments if argument != "--debug"]
    return ["--debug", *rest] if len(rest) < len(arguments) else rest


def _fail(message: str, status: int, debug: bool) -> int:
    if debug:
        traceback.print_exc()
    typer.echo(f"billing-pipeline: {' '.join(message.split())}", err=True)
    return status
