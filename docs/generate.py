"""Write docs/reference from the code: the command line, the columns, the views and questions.

python docs/generate.py            write the pages
python docs/generate.py --check    exit 1 and name the pages that are stale
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import typer

from analytics import Analytics
from cli.app import app
from lake import Lake

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCE = REPOSITORY / "docs" / "reference"
SQL = REPOSITORY / "analytics" / "sql"
PUBLIC_VIEWS = ("runs", "llm_calls", "tool_calls", "nodes", "spans", "logs", "prices")
NOTICE = "<!-- Written by `make docs`; edit the code instead. -->\n"


def cli_page() -> str:
    """Every command's own --help, as a terminal of 88 columns shows it."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    sections = [help_of()] + [f"## {name}\n\n{help_of(name)}" for name in group.commands]
    return "\n".join([NOTICE, "# Command line\n", *sections])


def help_of(*command: str) -> str:
    """A console block with the help of the command."""
    quietpager = Path(sys.executable).with_name("quietpager")
    environment = {**os.environ, "COLUMNS": "88", "TYPER_USE_RICH": "0", "NO_COLOR": "1"}
    text = subprocess.check_output([quietpager, *command, "--help"], env=environment, text=True)
    lines = "\n".join(line.rstrip() for line in text.strip().splitlines())
    return f"```console\n$ {' '.join(['quietpager', *command, '--help'])}\n{lines}\n```\n"


def columns_page() -> str:
    """What the lake prints about itself."""
    command = [sys.executable, "-m", "lake.docs"]
    return f"{NOTICE}\n{subprocess.check_output(command, cwd=REPOSITORY, text=True)}"


def views_page() -> str:
    """Name and type of every column of the public views, asked of the views themselves."""
    parts = [NOTICE, "# Views\n", "Names and columns are an interface: added to, never renamed.\n"]
    with tempfile.TemporaryDirectory() as empty:
        analytics = Analytics(Lake(Path(empty)))
        for view in PUBLIC_VIEWS:
            schema = analytics.query(f"SELECT * FROM {view} LIMIT 0").schema
            rows = [f"| `{field.name}` | {field.type} |" for field in schema]
            said = header(SQL / "views" / f"{view}.sql")
            parts += [f"## {view}\n", f"{said}\n", "| column | type |", "|---|---|", *rows, ""]
    return "\n".join(parts)


def questions_page() -> str:
    """The header comment of every question that ships."""
    parts = [NOTICE, "# Questions\n", "Each is a file to run, to copy, or to take elsewhere:\n"]
    parts += ["    quietpager sql -f analytics/sql/cost/by.sql --param dimension=tenant\n"]
    for path in questions():
        name = path.relative_to(SQL).with_suffix("")
        parts += [f"## {name}\n", f"```text\n{header(path)}\n```\n"]
    return "\n".join(parts)


def questions() -> Iterator[Path]:
    """The files of the questions, without the views they rest on."""
    for path in sorted(SQL.rglob("*.sql")):
        if path.parent.name != "views":
            yield path


def header(path: Path) -> str:
    """The comment that a .sql file begins with."""
    lines = []
    for line in path.read_text().splitlines() if path.exists() else []:
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").removeprefix(" ").rstrip())
    return "\n".join(lines)


PAGES = {
    "cli.md": cli_page,
    "columns.md": columns_page,
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
