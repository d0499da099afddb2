"""Write docs/reference from the code: command line, columns, content, views, questions.

python docs/generate.py            write the pages
python docs/generate.py --check    exit 1 and name the pages that are stale
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from inspect import getdoc
from itertools import takewhile
from pathlib import Path

from pydantic import BaseModel
from typer.core import TyperGroup
from typer.main import get_group

from analytics import VIEWS, Analytics, questions
from cli.app import app
from cli.config import Config
from cli.load import TABLES
from ingest.privacy.table import ContentTable, content_table
from lake import Lake

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE = REPOSITORY / "docs" / "reference"
SQL = REPOSITORY / "analytics" / "sql"
NOTICE = "<!-- Written by `make docs`; edit the code instead. -->\n"


def cli_page() -> str:
    """Every command's own --help, as a terminal of 88 columns shows it."""
    sections = [f"## {' '.join(path)}\n\n{help_of(*path)}" for path in commands(get_group(app))]
    return "\n".join([NOTICE, "# Command line\n", help_of(), *sections])


def commands(group: TyperGroup) -> Iterator[tuple[str, ...]]:
    """The words that name each command, commands within commands too."""
    for name, command in group.commands.items():
        yield (name,)
        if isinstance(command, TyperGroup):
            yield from ((name, *rest) for rest in commands(command))


def help_of(*command: str) -> str:
    """A console block with the help of the command."""
    quietpager = Path(sys.executable).with_name("quietpager")
    environment = {**os.environ, "COLUMNS": "88", "TYPER_USE_RICH": "0", "NO_COLOR": "1"}
    text = subprocess.check_output([quietpager, *command, "--help"], env=environment, text=True)
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"```console\n$ {' '.join(['quietpager', *command, '--help'])}\n{lines}\n```\n"


def configuration_page() -> str:
    """Every key of quietpager.toml, from the models that check the file."""
    parts = [NOTICE, "# quietpager.toml\n", f"{getdoc(Config)}\n".replace("``", "`"), *keys(Config)]
    for table, model in TABLES.items():
        title = table if Config.model_fields[table].annotation is model else f"[{table}]"
        parts += [f"## [{title}]\n", f"{getdoc(model)}\n", *keys(model)]
    return "\n".join(parts)


def keys(model: type[BaseModel]) -> Iterator[str]:
    """A Markdown table of the keys that a model takes."""
    yield "| key | meaning |\n|---|---|"
    for name, field in model.model_fields.items():
        yield f"| `{field.alias or name}` | {' '.join((field.description or '').split())} |"
    yield ""


def content_page() -> str:
    """The names under which content is dropped, and what is masked."""
    table = content_table()
    parts = [
        NOTICE,
        "# What is not stored\n",
        (
            "Attributes of these names are dropped from spans, span events, log records, data "
            "points and resources. `*` stands for any text. See `ingest/privacy/content.toml`.\n"
        ),
        "| dialect | names |\n|---|---|",
        *(f"| {each.name} | {_listed(each.names)} |" for each in table.dialects),
        "",
        *(
            f"Of a span `{each.name}` of the scope `{each.scope}` the name is `{each.left}`.\n"
            for each in table.span_names
        ),
        (
            f"The body of a log record goes when its event is one of {_listed(table.body_events)}; "
            "of another JSON body the members go that have such a name, and those called "
            f"{_listed(sorted(table.body_members))}. Of the JSON in "
            f"{_listed(sorted(table.numbers))} only numbers stay.\n"
        ),
        *_by_shape(table),
        "## What is masked\n",
        (
            f"Whole values under the names {_listed(table.secret_names)}, and in every other text "
            "what matches one of these, card numbers only if their check digit is right:\n"
        ),
        "```text",
        *(f"{name:20}{pattern}" for name, pattern in table.masked.items()),
        "```\n",
        (
            f"Left alone are values whose name matches one of {_listed(table.unmasked_keys)}, and "
            "those that columns are taken from, but for error messages.\n"
        ),
    ]
    return "\n".join(parts)


def _by_shape(table: ContentTable) -> Iterator[str]:
    """The rule for names that are in no list."""
    yield "## Under names in no list\n"
    yield (
        "Behind the table ingest drops what looks like content. A name looks like it when it is of "
        "a namespace of agent telemetry, or on a span or record of agent work, and ends with one "
        f"of {_listed(sorted(table.shape.certain))}; or, if more than one word stands there, with "
        f"one of {_listed(sorted(table.shape.likely))}. Values that are nothing but numbers stay. "
        "Under any name, also within other texts, messages go, their parts and calls of tools, as "
        "JSON or as Python prints them; role, kind, name, id and numbers of them stay. The body of "
        "every event of `gen_ai.` goes, and of every event whose name looks like content.\n"
    )
    yield (
        "Messages of exceptions and of failed spans stay, for they say what failed. What they "
        f"quote of what a model said goes, as {_listed(table.quotes)} are known to quote it, and "
        "what stands in quotes or braces behind such words as `arguments` and `value`; any other "
        "message of your own code that quotes a prompt is stored, with secrets masked.\n"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`".replace("|", "\\|") for name in names)


def columns_page() -> str:
    """What the lake prints about itself."""
    command = [sys.executable, "-m", "lake.docs"]
    return f"{NOTICE}\n{subprocess.check_output(command, cwd=REPOSITORY, text=True)}"


def views_page() -> str:
    """Name and type of every column of the public views, asked of the views themselves."""
    parts = [NOTICE, "# Views\n", "Names and columns are an interface: added to, never renamed.\n"]
    with tempfile.TemporaryDirectory() as empty:
        analytics = Analytics(Lake(Path(empty)))
        for view in VIEWS:
            schema = analytics.query(f"SELECT * FROM {view} LIMIT 0").schema
            rows = [f"| `{field.name}` | {field.type} |" for field in schema]
            said = header((SQL / "views" / f"{view}.sql").read_text())
            parts += [
                f"## {view}\n",
                f"```text\n{said}\n```\n",
                "| column | type |",
                "|---|---|",
                *rows,
                "",
            ]
    return "\n".join(parts)


def questions_page() -> str:
    """The header comment of every question that ships."""
    parts = [NOTICE, "# Questions\n", "Each is a file to run, to copy, or to take elsewhere:\n"]
    parts += [
        "    quietpager sql -f analytics/sql/cost/by.sql --param by=tenant,model --param tenant=\n"
    ]
    for question in questions().values():
        if not question.name.startswith("internal/"):
            parts += [f"## {question.name}\n", f"```text\n{header(question.sql)}\n```\n"]
    return "\n".join(parts)


def header(sql: str) -> str:
    """The comment that the text of a .sql file begins with."""
    comment = takewhile(lambda line: line.startswith("--"), sql.splitlines())
    return "\n".join(line.removeprefix("--").removeprefix(" ").rstrip() for line in comment)


PAGES = {
    "cli.md": cli_page,
    "columns.md": columns_page,
    "configuration.md": configuration_page,
    "content.md": content_page,
    "questions.md": questions_page,
    "views.md": views_page,
}


def main(arguments: list[str]) -> int:
    """Write or check, as asked."""
    stale = []
    REFERENCE.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        path = REFERENCE / name
        text = page()
        if not path.exists() or path.read_text() != text:
            stale.append(name)
            if arguments != ["--check"]:
                path.write_text(text)
    if arguments == ["--check"] and stale:
        print(f"stale: {', '.join(stale)}; run `make docs`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
