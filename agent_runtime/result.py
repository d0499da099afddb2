"""What a run has come to, for those who do not read its events."""

from dataclasses import dataclass

from agent_runtime.messages import Message
from agent_runtime.outcome import Outcome
from agent_runtime.run import Run
from agent_runtime.tally import Tally


@dataclass(frozen=True, slots=True)
class RunResult:
    """A finished run."""

    run_id: str
    text: str
    """What the agent said last; empty when it said nothing."""
    messages: tuple[Message, ...]
    outcome: Outcome
    usage: Tally
    question: str | None = None
    """The id of what a human is asked; an answer must name it."""


async def result_of(run: Run) -> RunResult:
    """Run to the end."""
    before = len(run.at.state.messages)
    try:
        async for _ in run.events():
            pass
    finally:
        await run.finish()
    assert run.outcome is not None  # noqa: S101 - set by finish
    messages = run.at.state.messages
    said = (each.content for each in reversed(messages[before:]) if each.role == "assistant")
    return RunResult(
        run.identity.run_id, next(said, ""), messages, run.outcome, run.context.tally,
        question=run.at.question if run.outcome.reason == "human" else None,
    )  # fmt: skip
