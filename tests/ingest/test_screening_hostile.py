"""Nothing that a sender writes into a name or a value keeps a record out of the lake."""

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decode import decode
from ingest.privacy.masking import MASK, masked
from ingest.privacy.names import Sort, sorts_of
from ingest.privacy.rows import Screen
from ingest.privacy.table import CONTENT_DROPPED
from ingest.rows import log_rows, span_rows
from lake.mapping_file import SHIPPED
from tests.ingest.batches import whole
from tests.ingest.values import RECEIVED, START, any_value, pairs

FIRST_TOKEN = "langfuse.observation.completion_start_time"
NAMES = sorted(SHIPPED.known_attributes() | {"prompt", "x" * 300, "", "gen_ai.prompt\n"})
VALUES = (
    "", "\0", "1e999", "-1", "NaN", "9" * 400, "2026-02-30T00:00:00Z", "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+23:59", '["', "[" * 1100, "{" * 600, "T" * 9000, "sk-" + "a" * 20,
    "4111 1111 1111 1111", "x@y.zz", "[too many]", '{"content":1e400}',
)  # fmt: skip
LITERALS = (
    "1", '"x"', '"\\ud83d"', "1e400", "9" * 25, "9" * 3000, "NaN", "null", "true", "{}", "[1]",
    "1j", "True", '"4111111111111111"', '"\\u0000"',
)  # fmt: skip
PATHS = sorted({path for paths in SHIPPED.members.values() for path in paths})


def objects(quote: str) -> st.SearchStrategy[str]:
    """Objects that have a member which the mapping asks for, in JSON or as Python prints them."""
    return st.builds(
        lambda path, value: f"{{{quote}{path}{quote}: {value}}}",
        st.sampled_from(PATHS),
        st.sampled_from(LITERALS),
    )


values = st.sampled_from(VALUES) | objects('"') | objects("'") | st.text(max_size=8)
attributes = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)


def stored_spans(attributes: dict[str, str], status: str = "") -> pa.Table:
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(attributes))
    span = group.scope_spans.add().spans.add(
        trace_id=b"\1" * 16, span_id=b"\2" * 8, name="chat m",
        start_time_unix_nano=START, end_time_unix_nano=START + 10**9,
    )  # fmt: skip
    span.attributes.extend(pairs(attributes))
    span.status.message = status
    span.events.add(name="exception").attributes.extend(pairs(attributes))
    decoded = decode("traces", [request.SerializeToString()], [RECEIVED])
    return screened(whole(span_rows(decoded), "spans"))


def stored_logs(body: str, attributes: dict[str, str] | None = None) -> pa.Table:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=START)
    record.body.CopyFrom(any_value(body))
    record.attributes.extend(pairs(attributes or {}))
    decoded = decode("logs", [request.SerializeToString()], [RECEIVED])
    return screened(whole(log_rows(decoded), "logs"))


def screened(rows: pa.Table) -> pa.Table:
    after = Screen().screened(rows)
    after.validate(full=True)
    return after


@settings(max_examples=150)
@given(said=attributes, text=values)
def test_every_span_is_stored(said: dict[str, str], text: str) -> None:
    """Whatever stands under names that columns are taken from, the span is a row."""
    assert stored_spans(said, text).num_rows == 1


@settings(max_examples=150)
@given(said=attributes, text=values)
def test_every_log_record_is_stored(said: dict[str, str], text: str) -> None:
    """Whatever stands under names that columns are taken from, the record is a row."""
    assert stored_logs(text, said).num_rows == 1


@pytest.mark.parametrize(
    "moment", ["2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "9999-12-31T23:59:59Z"]
)
def test_a_first_token_at_no_time(moment: str) -> None:
    """A time that is in no calendar, or in none of this span, is no first token."""
    assert stored_spans({FIRST_TOKEN: moment})["ttfb_ms"].to_pylist() == [None]


def test_an_integer_longer_than_64_bits() -> None:
    """A dict that Python printed may hold integers of any length; they are the digits."""
    rows = stored_spans({"langfuse.trace.metadata": f"{{'user_id': {'9' * 30}}}"})
    assert rows["user_id"].to_pylist() == ["9" * 30]


def test_half_of_a_surrogate_pair() -> None:
    """A text that was cut within a pair, as JavaScript does, is stored with its half escaped."""
    rows = stored_spans({"langfuse.trace.metadata": json.dumps({"user_id": "ada \ud83d"})})
    assert rows["user_id"].to_pylist() == ["ada \\ud83d"]


@pytest.mark.parametrize("depth", [500, 1000])
def test_a_body_deeper_than_python_follows(depth: int) -> None:
    """A body with content that is nested too deep to look through is dropped as a whole."""
    body = "[" * depth + '{"content": "x"}' + "]" * depth
    assert stored_logs(body)["body"].to_pylist() == [CONTENT_DROPPED]


def test_a_long_name_is_looked_at_once() -> None:
    """Names of a megabyte are sorted like others; by the square of it this would not end."""
    tail = "x" * 1_000_000
    names = [tail, f"retrieval.{'document' * 100_000}\n\n", f"llm.prompts.{tail}", f"{tail}tokens"]
    names += [f"{tail}_id", f"{tail}password"]
    expected = [0, Sort.CONTENT, Sort.CONTENT, Sort.PLAIN, Sort.PLAIN, Sort.SECRET]
    assert sorts_of(pa.array(names)).tolist() == expected


@pytest.mark.parametrize("name", ["gen_ai.prompt.0\n", "retrieval.\n.document", "tool.output\r\n"])
def test_a_line_break_in_a_name_hides_nothing(name: str) -> None:
    """`*` stands for line breaks as well, in short names and in long ones."""
    long = name + "x" * 80 if name.startswith("tool") else f"retrieval.{'x' * 80}\ndocument"
    assert sorts_of(pa.array([name, long])).tolist() == [Sort.CONTENT, Sort.CONTENT]


def test_a_long_text_full_of_secrets_is_looked_at_once() -> None:
    """Megabytes of keys without a break: by the square of the length this would not end."""
    texts = masked(pa.array(["eyJaaaaaaaa." * 350_000, "mail ada@example.org"]))
    assert set(texts[0].as_py().split(MASK)) <= {"", "."}
    assert texts[1].as_py() == f"mail {MASK}"
