"""What users, models and tools say to each other; the same for every provider."""

from dataclasses import dataclass
from typing import Literal

Role = Literal["system", "user", "assistant", "tool"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A model's wish to have a tool called."""

    id: str
    name: str
    arguments: str
    """JSON as the model wrote it; not yet known to be valid."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: Role
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant: what it wants called. Each is answered by one message of role ``tool``."""
    tool_call_id: str | None = None
    """Of a tool: the call it answers."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a provider billed for one call, in tokens."""

    input_tokens: int
    """Prompt, cached part included."""
    output_tokens: int
    """Completion, reasoning included."""
    cached_tokens: int | None
    """Part of the input read from the provider's cache; None when not reported."""
    reasoning_tokens: int | None
    """Part of the output spent on reasoning; None when not reported."""


@dataclass(frozen=True, slots=True)
class Completion:
    """A model's whole answer."""

    message: Message
    response_id: str | None
    model: str | None
    finish_reason: str
    usage: Usage | None
