"""The commands, and the one place where their failures become one line and an exit code."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer

from cli.commands import (
    alerts,
    backfill,
    cost,
    demo,
    doctor,
    drift,
    erase,
    export,
    slo,
    sql,
    thread,
    tools,
    up,
    verify,
)
from cli.failure import Failure, ReaderGone

INTERRUPTED = 130
BROKEN_PIPE = 141  # as the shell reports SIGPIPE; 1 would be a verdict of `slo check`

app = typer.Typer(
    name="quietpager",
    help="Whether users of your AI agents get their first token in time, which tools fail, and "
    "who spent the money: from your own disk.",
    epilog="Example: quietpager up",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    up,
    slo,
    tools,
    cost,
    alerts,
    thread,
    sql,
    backfill,
    verify,
    doctor,
    drift,
    export,
    erase,
    demo,
):
    command.register(app)


@app.callback(invoke_without_command=True)
def _options(
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
) -> None:
    if version:
        from importlib.metadata import version as version_of

        typer.echo(f"quietpager {version_of('quietpager')}")
        raise typer.Exit


def run() -> None:
    """Run the command line and exit."""
    _open_standard_streams()
    sys.exit(answer(sys.argv[1:]))


def answer(arguments: Sequence[str]) -> int:
    """Run the command that ``arguments`` name; returns the exit code."""
    try:
        code = app(arguments, prog_name="quietpager", standalone_mode=False)
        sys.stdout.flush()
    except Failure as failure:
        return _refuse(str(failure), failure.exit_code)
    except typer.TyperException as error:
        return _refuse_usage(error, arguments)
    except (typer.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (ReaderGone, BrokenPipeError):
        # Without this Python would complain as it closes stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        about = f"{error.filename}: " if error.filename else ""
        return _refuse(f"{about}{error.strerror or error}", 1)
    return code if isinstance(code, int) else 0


def _open_standard_streams() -> None:
    """Stand in for those that the caller closed (``>&-``): the next file opened would be them."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("r+"))  # noqa: SIM115 - for good
            os.dup2(getattr(sys, name).fileno(), number)


def _refuse(message: str, exit_code: int) -> int:
    print(f"quietpager: {' '.join(message.split())}", file=sys.stderr)
    return exit_code


def _refuse_usage(error: typer.TyperException, arguments: Sequence[str]) -> int:
    if not arguments:
        print(error.format_message())
        return error.exit_code
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "quietpager"
    message = error.format_message().replace("Value error, ", "").rstrip(".")
    return _refuse(f"{message}; see {command} --help", error.exit_code)
