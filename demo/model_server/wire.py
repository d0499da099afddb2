"""What the vendor's APIs share: a request as the script sees it, an answer as each API says it."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from demo.model_server.ledger import Call
from demo.model_server.rules import ToolCall

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request in one form whatever its API: messages and tools as chat completions has them."""

    model: str
    messages: Sequence[Message]
    tools: Sequence[Message]
    stream: bool
    user: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    usage_in_stream: bool = True


class Wire(Protocol):
    """How one API words an answer."""

    prefix: str
    """Of the ids of its responses."""

    def whole(
        self, call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool
    ) -> dict[str, Any]:
        """The body of a response that is not streamed."""

    def opening(self, call: Call, calls: Sequence[ToolCall]) -> bytes:
        """What a stream begins with, before the first token."""

    def pieces(self, call: Call, text: str, calls: Sequence[ToolCall]) -> Iterator[bytes]:
        """The answer in server-sent events, billed as a token each."""

    def failure(self, status: int, message: str) -> dict[str, Any]:
        """The body of a refusal, and of the event that ends a stream which failed."""

    def closing(
        self, call: Call, text: str, calls: Sequence[ToolCall], *, usage: bool
    ) -> Iterator[bytes]:
        """What a stream ends with, when all tokens were sent."""


_compact = json.JSONEncoder(separators=(",", ":")).encode


def event(body: Mapping[str, Any], name: str | None = None) -> bytes:
    """A server-sent event holding JSON."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + _compact(body).encode() + b"\n\n"


def tokens_of(text: str) -> list[str]:
    """The text in pieces as a stream sends them: one word each, with the space before it."""
    words = text.split(" ")
    return [words[0], *(f" {word}" for word in words[1:])]


def function(name: str, description: str, parameters: Mapping[str, Any]) -> Message:
    """A tool as chat completions has it."""
    described = {"name": name, "description": description, "parameters": parameters}
    return {"type": "function", "function": described}


def tool_call_id(call: Call, index: int) -> str:
    """The id of the answer's tool call at this place."""
    return f"call-{call.id}-{index}"
