"""`quietpager thread`: one conversation, line by line."""

from typing import Annotated

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data, Output
from cli.output import Format


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager thread t-4711")(thread)


def thread(
    thread_id: Annotated[str, typer.Argument(metavar="ID", help="The thread's id.")],
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show every span and log line of a thread, in order."""
    from cli.load import load_config
    from cli.output import write
    from cli.rooms import one_line_errors, open_analytics

    settings = load_config(config, data=data)
    with one_line_errors():
        answer = open_analytics(settings).ask("thread/timeline", thread_id=thread_id)
    write(answer, form)
    if not answer.num_rows:
        raise Failure(f"no span or log line of thread {thread_id!r}; is the id right?")
