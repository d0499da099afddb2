"""Every quickstart that is tested live, and what its library is known to tell."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.quickstarts.environments import Environments, python_for
from tests.quickstarts.running import Observed, run_agent


@dataclass(frozen=True)
class Library:
    """What a quickstart's agent makes known; all else holds for every one of them."""

    quickstart: str
    model: str = "gpt-4o-mini"
    provider: str = "openai"
    ttfb_of_calls: bool = False
    ttfb_of_runs: bool = False
    reasoning: bool = True
    tool_errors: bool = True


LIBRARIES = (
    Library("langgraph"),
    Library("litellm", model="openai/gpt-4o-mini"),
    Library("openai", ttfb_of_calls=True, ttfb_of_runs=True),
    Library("openai-agents"),
    Library("pydantic-ai", ttfb_of_calls=True),
    Library("anthropic", "claude-haiku-4-5", "anthropic", ttfb_of_runs=True, reasoning=False),
    Library("10xgraph", tool_errors=False),
)
RECORDED = {
    "vercel-ai-sdk": ("vercel_ai_sdk.json", "traces"),
    "claude-code": ("claude_code.json", "logs"),
}
"""What a library that is not run here sends, and as which signal."""
LIVE = [library for library in LIBRARIES if python_for(library.quickstart)]
"""Where no Python is new enough for a library, its recording in tests/fixtures speaks for it."""


@pytest.fixture(scope="session")
def environments(request: pytest.FixtureRequest) -> Iterator[Environments]:
    """The environments of the quickstarts that were asked for, in the order of their tests."""
    asked = dict.fromkeys(
        item.callspec.params["library"].quickstart
        for item in request.session.items
        if "library" in getattr(item, "fixturenames", ())
    )
    environments = Environments(list(asked))
    yield environments
    environments.close()


@pytest.fixture(scope="module", params=LIVE, ids=lambda library: library.quickstart)
def library(request: pytest.FixtureRequest) -> Library:
    """A quickstart's library."""
    return request.param


@pytest.fixture(scope="module")
def observed(
    library: Library, environments: Environments, tmp_path_factory: pytest.TempPathFactory
) -> Observed:
    """What was left when the quickstart's agent had answered both questions."""
    python = environments.python(library.quickstart)
    return run_agent(library.quickstart, python, tmp_path_factory.mktemp(library.quickstart))
