"""Random trees of spans: the sum of `usage` is that of the deepest spans that carry it."""

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import Analytics
from tests.analytics.telemetry import NEXT_DAY, NOON, Telemetry, ms

CLASSES = ("agent", "node", "llm", "llm", "tool", "other")
TREES = 40
"""Trees per example, each a trace of its own: to open a lake takes far longer than to ask it."""


@dataclass
class Branch:
    """A span of a tree: its class, the tokens it reports, what is below it."""

    span_class: str
    tokens: int | None
    below: list["Branch"]

    @property
    def carries(self) -> bool:
        return self.tokens is not None


@st.composite
def forests(draw: st.DrawFn) -> list[Branch]:
    """Trees whose tokens are powers of two within a tree, so that no two sums are alike."""
    return [tree(draw(st.randoms(use_true_random=False))) for _ in range(TREES)]


def tree(random: Any) -> Branch:
    spans: list[Branch] = []
    for number in range(random.randrange(1, 14)):
        tokens = 2**number if random.random() < 0.5 else None
        span = Branch(random.choice(CLASSES), tokens, [])
        if spans:
            random.choice(spans[-6:]).below.append(span)
        spans.append(span)
    return spans[0]


def deepest(span: Branch, inside_a_call: bool = False) -> int:
    """What a tree used, by the rule: the deepest spans that carry usage.

    A model call stands for everything below it that is no model call, down to the tools: what they
    did is work of its own. Written without the views, for one tree at a time.
    """
    if span.span_class == "llm":
        inner_call = any(each.carries for each in calls_within(span))
        within = inside_a_call or span.carries
        own = span.tokens if span.carries and not inner_call else 0
        return (own or 0) + sum(deepest(each, within) for each in span.below)
    if span.span_class == "tool":
        inside_a_call = False
    own = 0
    if span.carries and not inside_a_call and not any(each.carries for each in descendants(span)):
        own = span.tokens or 0
    return own + sum(deepest(each, inside_a_call) for each in span.below)


def calls_within(span: Branch) -> list[Branch]:
    """Model calls below, not through a tool."""
    found = []
    for each in span.below:
        if each.span_class == "llm":
            found.append(each)
        if each.span_class != "tool":
            found += calls_within(each)
    return found


def descendants(span: Branch) -> list[Branch]:
    return [each for child in span.below for each in (child, *descendants(child))]


def record(telemetry: Telemetry, span: Branch, under: dict[str, Any] | None = None) -> str:
    """The spans of a tree; returns its trace."""
    row = telemetry.span(
        span.span_class,
        under=under,
        at=NOON + ms(len(telemetry.spans)),
        input_tokens=span.tokens,
        output_tokens=span.tokens,
        request_model="gpt-4o",
        provider="openai",
        outcome="success",
    )
    for each in span.below:
        record(telemetry, each, row)
    trace: str = row["trace_id"]
    return trace


@settings(max_examples=8, deadline=None)
@given(forests(), st.randoms(use_true_random=False))
def test_the_deepest_spans_count(forest: list[Branch], random: Any) -> None:
    """Whatever the tree, whatever the order of arrival, and if spans come twice."""
    telemetry = Telemetry()
    expected = {record(telemetry, each): deepest(each) for each in forest}
    copies = [dict(row, received_at=NEXT_DAY) for row in telemetry.spans if random.random() < 0.3]
    telemetry.spans += copies
    random.shuffle(telemetry.spans)
    found: dict[str, int] = defaultdict(int)
    with TemporaryDirectory() as root, Analytics(telemetry.lake(Path(root)), threads=1) as asked:
        rows = asked.query("SELECT trace_id, input_tokens, output_tokens FROM usage").to_pylist()
    for row in rows:
        assert row["input_tokens"] == row["output_tokens"]
        found[row["trace_id"]] += row["input_tokens"] or 0
    assert {trace: found[trace] for trace in expected} == expected
