"""`python -m tests.quickstarts.write [NAME...]` writes what the pages show from a run of them."""

import sys
import tempfile
from pathlib import Path

from tests.quickstarts.conftest import LIVE, RECORDED
from tests.quickstarts.environments import QUICKSTARTS, Environments
from tests.quickstarts.running import Observed, consoles, run_agent, sent


def main(names: list[str]) -> None:
    """Run the quickstarts named, else all, and put each answer below its command."""
    names = names or [*(library.quickstart for library in LIVE), *RECORDED]
    environments = Environments([name for name in names if name not in RECORDED])
    for name in names:
        with tempfile.TemporaryDirectory() as home:
            if name in RECORDED:
                observed = sent(*RECORDED[name], Path(home))
            else:
                observed = run_agent(name, environments.python(name), Path(home))
            _write(QUICKSTARTS / name / "README.md", observed)


def _write(page: Path, observed: Observed) -> None:
    text = page.read_text()
    for console in consoles(text):
        answer = observed.tell(*console.arguments).strip("\n")
        lines = "\n".join(line.rstrip() for line in answer.splitlines())
        before = f"$ {console.command}\n\n{console.answer}```"
        text = text.replace(before, f"$ {console.command}\n\n{lines}\n```")
    page.write_text(text)


if __name__ == "__main__":
    main(sys.argv[1:])
