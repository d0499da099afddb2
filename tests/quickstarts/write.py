"""`python -m tests.quickstarts.write [NAME...]` writes what the pages show from a run of them."""

import sys
import tempfile
from pathlib import Path

from tests.quickstarts.conftest import LIVE
from tests.quickstarts.environments import QUICKSTARTS, Environments
from tests.quickstarts.running import consoles, run_agent


def main(names: list[str]) -> None:
    """Run the quickstarts named, else all, and put each answer below its command."""
    names = names or [library.quickstart for library in LIVE]
    environments = Environments(names)
    for name in names:
        page = QUICKSTARTS / name / "README.md"
        text = page.read_text()
        with tempfile.TemporaryDirectory() as home:
            observed = run_agent(name, environments.python(name), Path(home))
            for console in consoles(text):
                before = f"$ {console.command}\n\n{console.answer}```"
                answer = observed.tell(*console.arguments).strip("\n")
                lines = "\n".join(line.rstrip() for line in answer.splitlines())
                text = text.replace(before, f"$ {console.command}\n\n{lines}\n```")
        page.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
