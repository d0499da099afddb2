"""What users, models and tools say to each other; the same for every provider."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Role = Literal["system", "user", "assistant", "tool"]
UsageSource = Literal["provider", "estimated"]
Withheld = Literal["refusal", "content_filter"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called."""

    id: str
    name: str
    arguments: str
    """JSON as the model wrote it; not yet known to be valid, and empty where none came."""
    cut: bool = False
    """Whether the answer was cut before these were whole: then the tool is not called."""
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """By host, what a server said beside it that it wants back, and nobody else is sent: the
    ``extra_content`` of Gemini, which holds the signature of a thought."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant: what it wants called. Each is answered by one message of role ``tool``."""
    tool_call_id: str | None = None
    """Of a tool: the call it answers."""
    thinking: tuple[Mapping[str, Any], ...] = ()
    """Of an assistant that has thought: its blocks in order, as JSON. Signed thoughts are whole; of
    its text a block says how many ``characters`` it has, of its calls the ``id``. Anthropic wants
    all back as they were beside the results of tools; nobody else is sent them."""
    finish_reason: str | None = None
    """Of a model's answer: why it ended, in the provider's words (``stop``, ``length``,
    ``end_turn``, ``max_tokens``, …), and ``refusal`` of any that says that it is one."""
    thought: Mapping[str, str] = field(default_factory=dict, hash=False)
    """By host and model, what it thought before its calls, where that came as
    ``reasoning_content``: DeepSeek wants it back. Nobody else is sent it."""

    @property
    def withheld(self) -> Withheld | None:
        """Why there is no answer though the provider gave one: the model refused, or a filter took
        it."""
        return _WITHHELD.get(self.finish_reason or "")


_WITHHELD: Mapping[str, Withheld] = {"refusal": "refusal", "content_filter": "content_filter"}


@dataclass(frozen=True, slots=True)
class Usage:
    """What a provider billed for one call, in tokens."""

    input_tokens: int
    """Prompt, cached parts included."""
    output_tokens: int
    """Completion, reasoning included."""
    cached_tokens: int | None = None
    """Part of the input read from the provider's cache; None when not reported."""
    reasoning_tokens: int | None = None
    """Part of the output spent on reasoning; None when not reported."""
    cache_write_tokens: int | None = None
    """Part of the input written to the provider's cache; None when not reported."""
    source: UsageSource = "provider"
    """``estimated`` of an answer that broke off before the provider had reported its usage."""

    @property
    def counts(self) -> tuple[int | None, ...]:
        """In the order of `LINE_FIELDS` and `OTEL_NAMES`."""
        return (self.input_tokens, self.output_tokens, self.cached_tokens,
                self.cache_write_tokens, self.reasoning_tokens)  # fmt: skip


LINE_FIELDS = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens",
               "reasoning_tokens")  # fmt: skip
OTEL_NAMES = ("input_tokens", "output_tokens", "cache_read.input_tokens",
              "cache_write.input_tokens", "reasoning.output_tokens")  # fmt: skip
