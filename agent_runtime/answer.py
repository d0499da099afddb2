"""What every provider's protocol has to say, and the answer that is put together from it."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import orjson

from agent_runtime.messages import Message, ToolCall, Usage
from agent_runtime.model import Model
from agent_runtime.trimming import estimated_tokens

MOST_TOKENS = 2**53
"""Numbers beyond are no counts, and not even exact."""
LONGEST_NAME = 64
WHOLE = frozenset(("stop", "stop_sequence", "end_turn", "tool_use", "tool_call", "tool_calls",
                   "function_call", "eos", "eos_token", "complete", "completed"))  # fmt: skip
"""Reasons to finish with which a model came to its end. With any other one an answer may have
stopped anywhere: vendors have many words for that, and new ones."""
_HALF = re.compile("[\ud800-\udbff]")
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")


class Wire(Protocol):
    """How to ask and how to read the answers; the modules that speak a protocol are one each."""

    path: str
    """Behind the base URL."""

    def headers(self, key: str | None) -> dict[str, str]:
        """What signs a request."""

    def body(
        self,
        model: Model,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]],
        user: str,
    ) -> dict[str, Any]:
        """A request for a streamed answer, with the model's ``parameters``, which may say
        another ``user``, or None to say none."""

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
    over: bool = False
    """Whether the provider has said that nothing follows."""
    usage: Usage | None = None
    first_chunk_s: float | None = None
    """From sending the request to the first chunk with a token in it, in seconds; the empty chunk
    that opens most streams comes long before."""
    begun: bool = False
    """Whether the request was sent and not refused: the provider may bill for it."""
    tokens: int = 0
    """Pieces of text, thought, tool calls and the finish, so far."""
    refused: bool = False
    """Whether the provider has said that the text is a refusal."""
    blocks: list[dict[str, Any]] = field(default_factory=list)
    """As in `Message.thinking`, a call being at an ``index``."""
    _half: str = ""
    """Of a surrogate pair, whose other half comes with the next piece of text."""
    _text: list[str] = field(default_factory=list)
    _thoughts: list[str] = field(default_factory=list)
    server: str = ""
    """The host that is asked."""
    asked: str = ""
    """The host and the model."""
    _calls: dict[int, dict[str, str]] = field(default_factory=dict)
    _places: dict[int, int] = field(default_factory=dict)
    """Of the indexes that were said, which a provider may say of several calls: the last one's."""
    _extras: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    _wanted_back: list[str] = field(default_factory=list)
    """Thoughts that are sent back beside the calls that they led to."""

    def comes_from(self, response_id: object, model: object) -> None:
        """What the provider calls the answer and its model, where that is a name at all."""
        if isinstance(response_id, str) and response_id:
            self.response_id = self.response_id or response_id
        if isinstance(model, str) and model:
            self.model = model

    def say(self, text: str) -> None:
        """Text for the user. :raises TypeError: when it is none, here and below."""
        _check_text(text)
        self.tokens += 1
        text = self._half + text
        self._half = text[-1] if _HALF.fullmatch(text[-1:]) else ""
        self._pass_on(_whole(text.removesuffix(self._half)))

    def _pass_on(self, text: str) -> None:
        if not text:
            return
        if not (self.blocks and self.blocks[-1]["type"] == "text"):
            self.blocks.append({"type": "text", "characters": 0})
        self.blocks[-1]["characters"] += len(text)
        self._text.append(text)
        self.on_text(text)

    def think(self, text: str, *, wanted_back: bool = False) -> None:
        """Thought: it shows that the model is at work, and is billed, but is nobody's to read."""
        _check_text(text)
        self.tokens += 1
        self._thoughts.append(text)
        if wanted_back:
            self._wanted_back.append(text)

    def call(
        self,
        index: int | None,
        id_: str | None = None,
        name: str | None = None,
        arguments: str = "",
        extra: object = None,
    ) -> None:
        """A piece of the tool call at ``index`` or, where that is not said, of the one that has
        the id; without either, of the last one, unless it has another name. One at the index of
        another call may be a call of its own."""
        _check_text(id_ or "", name or "", arguments)
        if not isinstance(index, int | None):
            raise TypeError(f"a tool call at {type(index).__name__}, which is no number")
        self.tokens += 1
        place = self._place(index, id_, name)
        self._places[place if index is None else index] = place
        if place not in self._calls:
            self._calls[place] = {"id": "", "name": "", "arguments": ""}
            self.blocks.append({"type": "tool_use", "index": place})
        call = self._calls[place]
        if isinstance(extra, dict):
            self._extras[place] = extra
        call["id"] = id_ or call["id"]
        if name != call["name"]:  # some say it again with each piece
            call["name"] += name or ""
        call["arguments"] += arguments

    def calls_at(self, index: int) -> bool:
        """Whether there is a tool call at ``index``."""
        return index in self._calls

    def _place(self, index: int | None, id_: str | None, name: str | None) -> int:
        after = max(self._calls, default=-1) + 1
        if index is not None:
            place = self._places.get(index, after if index in self._calls else index)
            call = self._calls.get(place)
            if call is None or not _follows(call, id_, name):
                return place
        for place, call in reversed(self._calls.items()):
            if id_ == call["id"] if id_ else name in (None, "", call["name"]):
                return place
            if not id_:
                break
        return after if name or not self._calls else next(reversed(self._calls))

    def finish(self, reason: object) -> None:
        """The model is done."""
        self.tokens += 1
        self.finish_reason = str(reason)
        self._pass_on(_whole(self._half))
        self._half = ""

    def message(self) -> Message:
        """The whole answer as a message, each tool call with an id of its own.

        A provider leaves the arguments empty of a call that has none, but also of one that was cut
        before they came, and some write ``{}`` for both: with its defaults a tool might do what
        nobody asked for. Of Anthropic's inputs, nothing is ``{}`` when the answer is whole.
        """
        reason = "refusal" if self.refused else self.finish_reason
        was_cut = not _is_whole(reason)
        calls: dict[str, ToolCall] = {}
        ids: dict[int, str] = {}
        for index, call in sorted(self._calls.items()):
            id_ = call["id"] or f"call_{index}"
            if id_ in calls:
                id_ = f"{id_}_{index}"
            ids[index] = id_
            arguments = _whole(call["arguments"]) or ("{}" if reason == "tool_use" else "")
            cut = was_cut and _object_in(arguments) is None
            if was_cut and _object_in(arguments) == {}:
                arguments = ""
            extra = {self.server: self._extras[index]} if index in self._extras else {}
            calls[id_] = ToolCall(id_, call["name"], arguments, cut, extra)
        thoughts = _whole("".join(self._wanted_back)) if calls else ""
        return Message(
            "assistant", "".join(self._text), tuple(calls.values()), thinking=self._thinking(ids),
            finish_reason=reason, thought={self.asked: thoughts} if thoughts else {},
        )  # fmt: skip

    def _thinking(self, ids: Mapping[int, str]) -> tuple[dict[str, Any], ...]:
        blocks = self.blocks
        if not _is_whole(
            self.finish_reason
        ):  # a thought is signed at its end, and not taken back without
            blocks = [
                each for each in blocks if each["type"] != "thinking" or each.get("signature")
            ]
        if all(each["type"] in {"text", "tool_use"} for each in blocks):
            return ()
        return tuple(
            {"type": "tool_use", "id": ids[each["index"]]} if "index" in each else each
            for each in blocks
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


def _follows(call: Mapping[str, str], id_: str | None, name: str | None) -> bool:
    """Whether what has this id and name is another call than the one at its index: Ollama sends
    whole ones at one index, and vLLM pieces with ids of their own."""
    if not (id_ and name and call["id"] and id_ != call["id"]):
        return False
    return name != call["name"] or _object_in(call["arguments"]) is not None


def _is_whole(reason: str | None) -> bool:
    return reason is not None and reason.lower() in WHOLE


def set_by(parameters: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """What is ``usual``, unless the parameters say otherwise; what they say is None is left out."""
    return {name: value for name, value in {**usual, **parameters}.items() if value is not None}


def arguments_to_send(call: ToolCall) -> dict[str, Any]:
    """Of a tool call: what a model wrote need not be an object, nor JSON, but vendors refuse a
    thread for ever in which there is anything else."""
    found = _object_in(call.arguments or "{}")
    return {"invalid_arguments": call.arguments} if found is None else found


def _object_in(arguments: str) -> dict[str, Any] | None:
    try:
        found = orjson.loads(arguments)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None


def _whole(text: str) -> str:
    """With the halves of surrogate pairs joined that came apart; one alone is a ``?``."""
    if text.isascii():
        return text
    joined = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return joined.encode("utf-8", "replace").decode()


def name_to_send(name: str, tools: Sequence[Mapping[str, Any]]) -> str:
    """Of a tool that was called: a model may have made it up, and vendors refuse a whole thread,
    for ever, in which a name has other characters than theirs."""
    known = any(tool["name"] == name for tool in tools)
    return name if known else _NOT_IN_NAMES.sub("_", name)[:LONGEST_NAME] or "unknown"


def counted(value: object) -> int | None:
    """A number of tokens; None for what can be none, as a provider's bug may have it."""
    if isinstance(value, int | float) and 0 <= value < MOST_TOKENS and value == int(value):
        return int(value)
    return None


def _check_text(*values: object) -> None:
    for value in values:
        if not isinstance(value, str):
            raise TypeError(f"{type(value).__name__} where text belongs")
