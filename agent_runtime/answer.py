"""What every provider's protocol has to say, and the answer that is put together from it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from agent_runtime.messages import Message, ToolCall, Usage
from agent_runtime.trimming import estimated_tokens


class Wire(Protocol):
    """How to ask and how to read the answers; the modules that speak a protocol are one each."""

    path: str
    """Behind the base URL."""

    def headers(self, key: str | None) -> dict[str, str]:
        """What signs a request."""

    def body(
        self,
        model: str,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        user: str,
        parameters: Mapping[str, Any],
    ) -> dict[str, Any]:
        """A request for a streamed answer, with the caller's ``parameters``."""

    def read(self, chunk: Mapping[str, Any], answer: "Answer") -> None:
        """Take in one event of the stream. :raises StreamBroken: when it reports an error."""


@dataclass
class Answer:
    """One streamed answer, as far as it has come."""

    on_text: Callable[[str], None]
    response_id: str | None = None
    model: str | None = None
    finish_reason: str | None = None
    """With it the answer is whole."""
    usage: Usage | None = None
    first_chunk_s: float | None = None
    """From sending the request to the first chunk with a token in it, in seconds; the empty chunk
    that opens most streams comes long before."""
    begun: bool = False
    """Whether the request was sent and not refused: the provider may bill for it."""
    tokens: int = 0
    """Pieces of text, thought, tool calls and the finish, so far."""
    thinking: list[dict[str, Any]] = field(default_factory=list)
    _text: list[str] = field(default_factory=list)
    _thoughts: list[str] = field(default_factory=list)
    _calls: dict[int, dict[str, str]] = field(default_factory=dict)

    def say(self, text: str) -> None:
        """Text for the user."""
        self.tokens += 1
        self._text.append(text)
        self.on_text(text)

    def think(self, text: str) -> None:
        """Thought: it shows that the model is at work, and is billed, but is nobody's to read."""
        self.tokens += 1
        self._thoughts.append(text)

    def call(
        self,
        index: int | None,
        id_: str | None = None,
        name: str | None = None,
        arguments: str = "",
    ) -> None:
        """A piece of the tool call at ``index`` or, where that is not said, of the one that has
        the id; without either, of the last one, unless it has another name."""
        self.tokens += 1
        place = self._place(id_, name) if index is None else index
        call = self._calls.setdefault(place, {"id": "", "name": "", "arguments": ""})
        call["id"] = id_ or call["id"]
        if name != call["name"]:  # some say it again with each piece
            call["name"] += name or ""
        call["arguments"] += arguments

    def calls_at(self, index: int) -> bool:
        """Whether there is a tool call at ``index``."""
        return index in self._calls

    def _place(self, id_: str | None, name: str | None) -> int:
        for place, call in reversed(self._calls.items()):
            if id_ == call["id"] if id_ else name in (None, "", call["name"]):
                return place
            if not id_:
                break
        return max(self._calls, default=-1) + 1

    def finish(self, reason: str) -> None:
        """The model is done."""
        self.tokens += 1
        self.finish_reason = reason

    def message(self) -> Message:
        """The whole answer as a message, each tool call with an id of its own."""
        calls: dict[str, ToolCall] = {}
        for index, call in sorted(self._calls.items()):
            id_ = call["id"] or f"call_{index}"
            if id_ in calls:
                id_ = f"{id_}_{index}"
            calls[id_] = ToolCall(id_, call["name"], call["arguments"] or "{}")
        return Message(
            "assistant", "".join(self._text), tuple(calls.values()), thinking=tuple(self.thinking)
        )

    def estimated_usage(self, prompt_tokens: int) -> Usage:
        """About what a broken answer costs: the prompt, and what came of the answer.

        Providers report usage with the last event only (Anthropic the input's with the first).
        """
        if self.usage is not None and self.finish_reason is not None:
            return self.usage
        calls = (part for call in self._calls.values() for part in call.values())
        came = estimated_tokens(*self._text, *self._thoughts, *calls)
        known = self.usage or Usage(prompt_tokens, 0)
        return replace(known, output_tokens=max(known.output_tokens, came), source="estimated")
