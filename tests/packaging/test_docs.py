"""The documentation says what the code does."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from cli.config import Config
from cli.load import load_config

PAGES = [
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/architecture.md",
    "docs/models.md",
    "docs/threads.md",
    "docs/writes.md",
]


def test_the_reference_is_what_the_code_says(repository: Path) -> None:
    """`make docs` would change nothing: no page of docs/reference is stale."""
    check: list[str | Path] = [sys.executable, repository / "docs" / "generate.py", "--check"]
    answer = subprocess.run(check, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr


@pytest.mark.parametrize("page", PAGES)
def test_every_link_within_the_checkout_leads_somewhere(repository: Path, page: str) -> None:
    """Each relative link and image of a page is a file or directory that exists."""
    source = repository / page
    targets = re.findall(r"\]\(([^)#]+)", source.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (source.parent / target).exists()] == []


def test_every_make_target_in_the_documentation_exists(repository: Path) -> None:
    """A reader who copies `make something` from a page gets something."""
    makefile = (repository / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    text = "\n".join((repository / page).read_text() for page in PAGES)
    named = set(re.findall(r"^ {4}make ([a-z]+)|`make ([a-z]+)", text, re.MULTILINE))
    assert {first or second for first, second in named} <= targets


def test_the_readme_shows_a_configuration_that_works(repository: Path, tmp_path: Path) -> None:
    """The quietpager.toml of the README is accepted, key by key."""
    (example,) = re.findall(r"```toml\n(.*?)```", (repository / "README.md").read_text(), re.DOTALL)
    file = tmp_path / "quietpager.toml"
    file.write_text(example)
    config = load_config(file)
    assert [rule.name for rule in config.alert_rules()] == ["ttfb-p95"]
    assert [webhook.name for webhook in config.webhooks] == ["on-call"]
    assert [price.model for price in config.price_overrides()] == ["gpt-4o-mini"]


def test_the_documented_ports_are_the_defaults(repository: Path) -> None:
    """README, image and code agree on where things listen."""
    defaults = {str(getattr(Config(), name)) for name in ("otlp_http", "otlp_grpc", "dashboard")}
    assert defaults == {"127.0.0.1:4318", "127.0.0.1:4317", "127.0.0.1:8321"}
    readme = (repository / "README.md").read_text()
    assert all(address.partition(":")[2] in readme for address in defaults)


def test_every_command_in_the_readme_can_be_given(repository: Path) -> None:
    """Each `quietpager ...` of the README is a command, and its options are options of it."""
    quietpager = Path(sys.executable).with_name("quietpager")
    readme = (repository / "README.md").read_text()
    shown_as = r"(?:^\$ |^ {4}\.venv/bin/|`)quietpager ([a-z][^`\n#\"]*)"
    commands = re.findall(shown_as, readme, re.MULTILINE)
    assert len(commands) > 5
    for command in commands:
        words = [word for word in command.split() if word.islower() and not word.startswith("-")]
        options = re.findall(r"--[a-z-]+", command)
        shown = subprocess.run([quietpager, words[0], "--help"], capture_output=True, text=True)
        assert shown.returncode == 0, command
        assert [option for option in options if option not in shown.stdout] == [], command
