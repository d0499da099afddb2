"""`quietpager sql`: any read-only question."""

import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.failure import Failure
from cli.options import ConfigPath, Data, Output
from cli.output import Column, Format

if TYPE_CHECKING:
    import pyarrow as pa

    from analytics import Analytics

EXPLAINED = ["explain_key", "explain_value"]
NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?")

EXAMPLES = """Examples:

quietpager sql "SELECT tenant_id, count(*) AS runs FROM runs GROUP BY tenant_id"

quietpager sql -f slowest.sql --param tenant=acme --format csv"""


def register(app: typer.Typer) -> None:
    app.command(epilog=EXAMPLES)(sql)


def sql(
    query: Annotated[
        str | None, typer.Argument(help="A SELECT; read from stdin when left out.", metavar="QUERY")
    ] = None,
    data: Data = None,
    config: ConfigPath = None,
    form: Output = Format.table,
    file: Annotated[
        Path | None,
        typer.Option("-f", "--file", help="Read the query from FILE; - is stdin.", metavar="FILE"),
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(help="Value of $k in the query; k= is NULL. May be repeated.", metavar="k=v"),
    ] = None,
) -> None:
    """Ask the lake in SQL (DuckDB). It cannot change anything.

    Views: runs, llm_calls, tool_calls, nodes, usage, spans, logs, metrics, prices.
    """
    from cli.load import load_config
    from cli.output import write
    from cli.rooms import one_line_errors, open_analytics

    text = _query_text(query, file)
    parameters = dict(_parameter(each) for each in param or ())
    settings = load_config(config, data=data)
    with one_line_errors():
        answer = _ask(open_analytics(settings), text, parameters)
    write(answer, form, shown=_plan(answer))


def _plan(answer: "pa.Table") -> "list[Column] | None":
    """What EXPLAIN draws over many lines; None for any other answer."""
    if answer.column_names != EXPLAINED:
        return None
    keys, values = (answer[name].to_pylist() for name in EXPLAINED)
    return [Column(EXPLAINED[0], keys), Column(EXPLAINED[1], values, drawn=True)]


def _ask(analytics: "Analytics", text: str, parameters: Mapping[str, str | None]) -> "pa.Table":
    """Ask with what reads as a number as a number; where that does not fit, with text."""
    from analytics import QueryError

    typed = {name: _number(value) for name, value in parameters.items()}
    try:
        return analytics.query(text, typed)
    except QueryError:
        if typed == parameters:
            raise
        with suppress(QueryError):
            return analytics.query(text, parameters)
        raise


def _number(value: str | None) -> str | int | float | None:
    """``value`` as a number if that is how a number is written: ``007`` and ``nan`` stay text."""
    if value is None or not NUMBER.fullmatch(value):
        return value
    return float(value) if set(value) & set(".eE") else int(value)


def _query_text(query: str | None, file: Path | None) -> str:
    if query is not None and file is not None:
        raise Failure("give QUERY or --file, not both", 2)
    if query is not None:
        return query
    if file is None and sys.stdin.isatty():
        raise Failure('no query; write e.g. quietpager sql "SELECT count(*) FROM runs"', 2)
    try:
        if file is None or str(file) == "-":
            return sys.stdin.read()
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise Failure(f"{file}: {error.strerror}; name a readable SQL file", 2) from None
    except UnicodeDecodeError:
        raise Failure(f"{file or 'stdin'}: not UTF-8 text; save it as UTF-8", 2) from None


def _parameter(text: str) -> tuple[str, str | None]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Failure(f"--param {text!r} is not k=v; write e.g. --param tenant=acme", 2)
    return name.removeprefix("$"), value or None
