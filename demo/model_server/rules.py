"""How the vendor answers: rules matched against each call, later ones over earlier ones."""

import random
import threading
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class ToolCall(BaseModel):
    """A tool call the model makes when the tool is offered and no result is at hand yet."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Behaviour(BaseModel):
    """One answer. What a rule leaves unset comes from earlier rules, or from the default here."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first_token_ms: float = Field(20.0, ge=0, description="request to first token")
    token_ms: float = Field(1.0, ge=0, description="between two tokens")
    text: str | None = Field(None, description="what is answered; a sentence of its own if unset")
    tool_calls: tuple[ToolCall, ...] | None = Field(
        None, description="unset: the offered tools that the user's message names"
    )
    cached_share: float = Field(0.0, ge=0, le=1, description="of the prompt, read from the cache")
    cache_write_share: float = Field(0.0, ge=0, le=1, description="of the prompt, written to it")
    reasoning_tokens: int = Field(0, ge=0, description="thought before the answer, billed with it")
    usage: bool = Field(True, description="whether usage is reported")
    status: int | None = Field(None, ge=400, le=599, description="refuse the call with it")
    retry_after: float | None = Field(None, ge=0, description="seconds, with a refusal")
    retry_after_as: Literal["seconds", "ms", "date"] = Field(
        "seconds", description="how it is said; a date has whole seconds"
    )
    cut_after_tokens: int | None = Field(None, ge=0, description="then drop the connection")
    fail_after_tokens: int | None = Field(
        None, ge=0, description="then send an error as the stream's last event"
    )
    stall_after_tokens: int | None = Field(None, ge=0, description="then send nothing more")


class Rule(Behaviour):
    """A behaviour for the calls whose model and user match (shell patterns).

    It applies with `probability`, and to the first `times` matching calls only, if set.
    """

    model: str = "*"
    user: str = "*"
    probability: float = Field(1.0, ge=0, le=1)
    times: int | None = Field(None, ge=0)


_CONDITIONS = {"model", "user", "probability", "times"}


class Script:
    """The rules in force. Thread-safe: tests change them while calls come in."""

    def __init__(self, rules: Iterable[Rule], seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._lock = threading.Lock()
        self._rules: list[tuple[Rule, int | None]] = []
        self.replace(rules)

    def replace(self, rules: Iterable[Rule]) -> None:
        """Forget the rules in force and follow these."""
        with self._lock:
            self._rules = [(rule, rule.times) for rule in rules]

    @property
    def rules(self) -> Sequence[Rule]:
        """The rules in force, used-up ones included."""
        return [rule for rule, _ in self._rules]

    def behaviour(self, model: str, user: str) -> Behaviour:
        """What to do with this call; counts it against the rules' `times`."""
        wanted: dict[str, Any] = {}
        with self._lock:
            for position, (rule, left) in enumerate(self._rules):
                if (
                    left == 0
                    or not fnmatchcase(model, rule.model)
                    or not fnmatchcase(user, rule.user)
                    or self._random.random() >= rule.probability
                ):
                    continue
                wanted |= rule.model_dump(exclude_unset=True, exclude=_CONDITIONS)
                if left is not None:
                    self._rules[position] = (rule, left - 1)
        return Behaviour(**wanted)
