"""`quietpager thread`: one conversation, line by line."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data, Output
from cli.output import Format

if TYPE_CHECKING:
    import pyarrow as pa

    from cli.output import Column

SHOWN = {
    "duration_ms": "duration",
    "ttfb_ms": "first token",
    "input_tokens": "in",
    "output_tokens": "out",
    "cost_usd": "cost",
    "outcome": "outcome",
    "message": "message",
}
INDENT = "  "


def register(app: typer.Typer) -> None:
    app.command(epilog="Example: quietpager thread t-4711")(thread)


def thread(
    thread_id: Annotated[str, typer.Argument(metavar="ID", help="The thread's id.")],
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
) -> None:
    """Show every span and log line of a thread, in order.

    Exit code 1: there is none.
    """
    from cli.load import load_config
    from cli.output import write
    from cli.rooms import one_line_errors, open_analytics

    settings = load_config(config, data=data)
    with one_line_errors():
        answer = open_analytics(settings).ask("thread/timeline", thread_id=thread_id)
    if not answer.num_rows and form is Format.table:
        raise Failure(f"no span or log line of thread {thread_id!r}; is the id right?")
    write(answer, form, shown=_shown(answer))
    if not answer.num_rows:
        raise typer.Exit(1)


def _shown(answer: "pa.Table") -> "list[Column]":
    from cli.figures import moment
    from cli.output import Column, columns_of

    lines = answer.select(
        ["time", "source", "what", "name", "trace_id", "span_id", "parent_span_id"]
    ).to_pylist()
    parents = {
        (line["trace_id"], line["span_id"]): line["parent_span_id"]
        for line in lines
        if line["source"] == "span"
    }
    return [
        Column("time (UTC)", [moment(line["time"]).removesuffix("Z") for line in lines]),
        Column("what", [f"{line['source']} {line['what'] or ''}".rstrip() for line in lines]),
        Column("name", [INDENT * _depth(line, parents) + (line["name"] or "") for line in lines]),
        *columns_of(answer, SHOWN),
    ]


def _depth(line: dict[str, Any], parents: dict[tuple[str, str], str | None]) -> int:
    """In how many spans of the thread it is; a line of a log is in its span."""
    trace, inner = line["trace_id"], line["parent_span_id"]
    seen = {line["span_id"]}
    if line["source"] == "log":
        inner, seen = line["span_id"], set()
    depth = 0
    while inner and (trace, inner) in parents and inner not in seen:
        seen.add(inner)
        inner = parents[trace, inner]
        depth += 1
    return depth
