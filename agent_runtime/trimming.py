"""Keeps a prompt within its token budget without tearing tool calls from their results."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from agent_runtime.errors import PromptTooLong
from agent_runtime.messages import Message

BYTES_PER_TOKEN = 4
TOKENS_PER_MESSAGE = 4
TOOL_OUTPUT_BYTES = 32_000

Group = tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Trimmed:
    """A prompt that fits, and how many messages were left out for it."""

    messages: tuple[Message, ...]
    left_out: int


def estimate_tokens(message: Message) -> int:
    """About how many tokens a message takes.

    Four bytes of UTF-8 to a token, as OpenAI's rule of thumb for English
    (https://help.openai.com/en/articles/4936856), and four tokens to frame a message. Text in other
    scripts takes more bytes per character, as it takes more tokens.
    """
    calls = (part for call in message.tool_calls for part in (call.name, call.arguments))
    thoughts = map(str, (*message.thinking, *(call.extra or "" for call in message.tool_calls)))
    return estimated_tokens(message.content, *calls, *thoughts) + TOKENS_PER_MESSAGE


def estimated_prompt_tokens(
    messages: Sequence[Message], tools: Sequence[Mapping[str, object]]
) -> int:
    """About how many tokens messages and descriptions of tools take."""
    described = (Message("system", str(tool)) for tool in tools)
    return sum(map(estimate_tokens, (*messages, *described)))


def estimated_tokens(*texts: str) -> int:
    """About how many tokens texts take together."""
    return -(-sum(len(text.encode("utf-8", "replace")) for text in texts) // BYTES_PER_TOKEN)


def trim(messages: Sequence[Message], budget: int) -> Trimmed:
    """The messages that fit into ``budget`` tokens, in order.

    Kept always: system messages, the last user message and, right behind it, the newest exchange
    (tool outputs cut shorter when they have to be). Then as many of the messages before as fit,
    newest first, from a user's on. A tool call is kept with all its results or left out with them;
    results without their call and calls without their results, as an interrupted run leaves them,
    are left out.

    :raises PromptTooLong: when what must be kept does not fit.
    """
    system = [message for message in messages if message.role == "system"]
    groups = _groups([message for message in messages if message.role != "system"])
    last_user = max((i for i, group in enumerate(groups) if group[0].role == "user"), default=None)
    kept: dict[int, Group] = {}
    room = budget - sum(map(estimate_tokens, system))
    if last_user is not None:
        kept[last_user] = groups[last_user]
        room -= _tokens(groups[last_user])
    newest = len(groups) - 1
    if groups and newest not in kept:
        kept[newest] = _squeeze(groups[newest], room)
        room -= _tokens(kept[newest])
    if room < 0:
        raise PromptTooLong(
            f"system prompt, last user message and newest exchange take about {budget - room} "
            f"tokens, {-room} over the budget of {budget}; raise context_tokens or shorten them"
        )
    for position in reversed(range(len(groups))):
        if position in kept:
            continue
        group = _capped(groups[position], TOOL_OUTPUT_BYTES)
        if _tokens(group) > room:
            break
        kept[position] = group
        room -= _tokens(group)
    _begin_with_a_user(kept)
    chosen = [message for position in sorted(kept) for message in kept[position]]
    return Trimmed((*system, *chosen), len(messages) - len(system) - len(chosen))


def shorten(text: str, limit: int) -> str:
    """``text`` in at most ``limit`` bytes of UTF-8, with a mark where it was cut."""
    whole = text.encode("utf-8", "replace")
    if len(whole) <= limit:
        return text
    mark = f"… [{len(whole)} bytes, cut]"
    room = max(0, limit - len(mark.encode()))
    return (
        (whole[:room].decode("utf-8", "ignore") + mark).encode()[:limit].decode("utf-8", "ignore")
    )


def _groups(messages: Sequence[Message]) -> list[Group]:
    """Messages that stay or go together; incomplete exchanges with tools are gone already."""
    groups: list[Group] = []
    position = 0
    while position < len(messages):
        message = messages[position]
        position += 1
        if message.role == "tool":
            continue
        missing = [call.id for call in message.tool_calls]  # an id may be there twice
        results: list[Message] = []
        while position < len(messages) and messages[position].role == "tool":
            result = messages[position]
            if result.tool_call_id in missing:
                missing.remove(result.tool_call_id)
                results.append(result)
            position += 1
        if not missing:
            groups.append((message, *results))
    return groups


def _begin_with_a_user(kept: dict[int, Group]) -> None:
    """Leave out what an assistant said at the cut: what it answered is not there any more."""
    users = [position for position, group in kept.items() if group[0].role == "user"]
    if users and min(kept) > 0:
        for position in [each for each in kept if each < min(users)]:
            del kept[position]


def _squeeze(group: Group, room: int) -> Group:
    """The group with its tool outputs cut so that it fits into ``room`` tokens, if that helps."""
    capped = _capped(group, TOOL_OUTPUT_BYTES)
    if _tokens(capped) <= room or len(group) == 1:
        return capped
    share = max(0, room - _tokens(_capped(group, 0))) // (len(group) - 1)
    return _capped(group, share * BYTES_PER_TOKEN)


def _capped(group: Group, limit: int) -> Group:
    first, *results = group
    return (first, *(replace(result, content=shorten(result.content, limit)) for result in results))


def _tokens(group: Group) -> int:
    return sum(map(estimate_tokens, group))
