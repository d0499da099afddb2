"""Server-sent events survive any text and any cut of the byte stream."""

import json
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent_runtime import Event
from agent_runtime.sse import TOKEN_LINE, Decoder, encode


def decoded(chunks: Iterable[bytes]) -> list[str]:
    decoder = Decoder()
    return [data for chunk in chunks for data in decoder.feed(chunk)]


@given(st.lists(st.text()), st.integers(1, 9), st.sampled_from((b"\n", b"\r\n", b"\r")))
def test_any_text_survives_any_cut(texts: list[str], size: int, newline: bytes) -> None:
    """Line separators inside JSON and chunks that end anywhere change nothing."""
    events = [Event("token", {"text": text + "\u2028\x85"}) for text in texts]
    wire = b"".join(map(encode, events)).replace(b"\n", newline)
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    assert [json.loads(data) for data in decoded(chunks)] == [event.data for event in events]


@pytest.mark.timeout(60)
def test_an_event_may_come_in_thousands_of_pieces() -> None:
    """What it takes grows with its length, not with the square of it, which here is hours."""
    piece = b"x" * 4096
    [data] = decoded([b"data: ", *[piece] * 20_000, b"\n\n"])
    assert len(data) == 20_000 * 4096


@pytest.mark.parametrize("size", [1, 2, 3, 4, 99])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b"\xef\xbb\xbf\n"])
def test_a_byte_order_mark_is_skipped_at_the_beginning_only(mark: bytes, size: int) -> None:
    """However it is cut; within a text it is one of its characters."""
    wire = mark + b"data: a\n\ndata: \xef\xbb\xbfb\n\n"
    chunks = [wire[at : at + size] for at in range(0, len(wire), size)]
    assert decoded(chunks) == ["a", "\ufeffb"]


def test_comments_are_skipped_and_data_lines_joined() -> None:
    """Keep-alives do not become events; an event that is not finished is dropped."""
    wire = b": ping\n\ndata: a\ndata:b\nid: 7\n\nevent: x\n\ndata: unfinished"
    assert decoded([wire]) == ["a\nb"]


def test_odd_numbers_and_text_are_sent() -> None:
    """What a human is asked may hold more than 64 bits: 100 ether are 10**20 wei. Half of a
    surrogate pair, which many readers refuse, is replaced."""
    payload = {"wei": 10**20 + 1, "text": "\ud800"}
    [data] = decoded([encode(Event("interrupted", {"payload": payload}))])
    assert json.loads(data) == {"payload": {"wei": 10**20 + 1, "text": "?"}}


def test_tokens_are_known_by_a_line() -> None:
    """The clock at the edge recognises token events wherever they are, and only those."""
    token, end = Event("token", {"text": "a"}), Event("node.end", {"node": "event: token\n"})
    assert TOKEN_LINE in encode(end) + encode(token)
    assert TOKEN_LINE not in encode(end)
