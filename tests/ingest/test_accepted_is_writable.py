"""What the receiver accepts the writer can decode: one sender cannot spoil a shared segment."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decode import decode
from ingest.receive.decode import Batch, Format, decode_batch
from ingest.receive.refusal import Refusal
from ingest.receive.signals import LOGS, METRICS, TRACES, Signal
from ingest.record import encode_record
from ingest.segment_rows import ROWS_OF
from ingest.segments import digest_of
from ingest.tables import TABLE_OF
from ingest.write import WriterSettings, run_writer
from lake import Lake
from lake.mapping_file import SHIPPED
from tests.ingest.batches import whole

FIXTURES = [
    path
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "otlp").glob("*.pb"))
    if path.stat().st_size
]


def damaged(body: bytes, rng: random.Random) -> bytes:
    """The request with a few bytes changed, removed or put in."""
    changed = bytearray(body)
    for _ in range(rng.randint(1, 5)):
        if not changed:
            break
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                del changed[at : at + rng.randint(1, 3)]
            case 3:
                changed[at:at] = rng.randbytes(rng.randint(1, 3))
    return bytes(changed)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_request_is_refused_or_decodable(path: Path, seed: int) -> None:
    """Real requests with any few bytes changed: two protobuf readers never disagree on them."""
    signal = LOGS if path.stem.startswith("logs_") else TRACES
    batch = accepted(damaged(path.read_bytes(), random.Random(seed)), signal)
    if batch is not None:
        assert rows_of(signal, batch).num_rows == batch.verdict.kept


def rows_of(signal: Signal, batch: Batch) -> pa.Table:
    """The rows that the writer makes of an accepted request."""
    parts = ROWS_OF[signal.name](decode(signal.name, [batch.request], [1]), SHIPPED)  # type: ignore[arg-type,index] # stub
    table = whole(parts, TABLE_OF[signal.name])  # type: ignore[index]
    table.validate(full=True)
    return table


def accepted(body: bytes, signal: Signal) -> Batch | None:
    """What the receiver makes of a request; None if it refuses it whole."""
    try:
        return decode_batch(
            body, signal, Format.PROTOBUF, "", limit=10**8, received_unix_nano=time.time_ns()
        )
    except Refusal:
        return None


texts = st.text(max_size=8)
doubles = st.floats() | st.integers(-9, 9).map(float)
unsigned = st.integers(0, 2**64 - 1) | st.integers(0, 9)
sound_times = st.integers(1_700_000_000 * 10**9, time.time_ns())
times = sound_times | sound_times | sound_times | st.sampled_from([0, 1_700_000_000])
offsets = st.integers(-(2**31), 2**31 - 1)
attributes = st.lists(
    st.fixed_dictionaries(
        {
            "key": texts | st.sampled_from(["tenant.id", "gen_ai.token.type", "metadata"]),
            "value": st.sampled_from([{}, {"bool_value": True}, {"array_value": {"values": [{}]}}])
            | texts.map(lambda text: {"string_value": text})
            | doubles.map(lambda number: {"double_value": number}),
        }
    ),
    max_size=3,
)
numbers = st.one_of(
    st.just({}),
    doubles.map(lambda number: {"as_double": number}),
    st.integers(-(2**63), 2**63 - 1).map(lambda number: {"as_int": number}),
)
exemplars = st.lists(
    st.builds(
        lambda number, **rest: number | rest,
        numbers,
        time_unix_nano=times,
        trace_id=st.binary(max_size=16) | st.binary(min_size=16, max_size=16),
        span_id=st.binary(max_size=8),
        filtered_attributes=attributes,
    ),
    max_size=2,
)
common = {"time_unix_nano": times, "attributes": attributes, "flags": st.integers(0, 2**32 - 1)}
common |= {"start_time_unix_nano": times}
summed = {"count": unsigned, "sum": doubles}
spread = {"sum": doubles, "min": doubles, "max": doubles}
buckets = st.fixed_dictionaries(
    {"offset": offsets, "bucket_counts": st.lists(unsigned, max_size=4)}
)
number_points = st.builds(
    lambda number, **rest: number | rest, numbers, exemplars=exemplars, **common
)
histogram_points = st.fixed_dictionaries(
    {
        **common,
        "count": unsigned,
        "exemplars": exemplars,
        "explicit_bounds": st.lists(doubles, max_size=2).map(sorted),
        "bucket_counts": st.lists(unsigned, max_size=3),
    },
    optional=spread,
)
exponential_points = st.fixed_dictionaries(
    {
        **common,
        "count": unsigned,
        "exemplars": exemplars,
        "scale": offsets,
        "zero_count": unsigned,
        "zero_threshold": doubles,
    },
    optional={**spread, "positive": buckets, "negative": buckets},
)
quantiles = st.fixed_dictionaries({"quantile": doubles, "value": doubles})
summary_points = st.fixed_dictionaries(
    {**common, **summed, "quantile_values": st.lists(quantiles, max_size=2)}
)


spans = st.fixed_dictionaries(
    {
        "trace_id": st.binary(min_size=16, max_size=16),
        "span_id": st.binary(min_size=8, max_size=8),
        "name": texts,
        "start_time_unix_nano": sound_times | st.integers(946_684_800 * 10**9, 2**61),
        "end_time_unix_nano": sound_times | times,
        "attributes": attributes,
        "events": st.lists(
            st.fixed_dictionaries(
                {
                    "time_unix_nano": unsigned | sound_times,
                    "name": texts | st.sampled_from(["exception", "gen_ai.first_token"]),
                    "attributes": attributes,
                }
            ),
            max_size=2,
        ),
        "links": st.lists(
            st.fixed_dictionaries(
                {"trace_id": st.binary(max_size=17), "span_id": texts.map(str.encode)}
            ),
            max_size=1,
        ),
        "status": st.fixed_dictionaries({"code": st.integers(-1, 4), "message": texts}),
        "kind": st.integers(-1, 9),
    }
)


@settings(max_examples=200)
@given(batch=st.lists(spans, min_size=1, max_size=4))
def test_accepted_spans_are_rows(batch: list[dict[str, Any]]) -> None:
    """Whatever times, events, links and statuses spans have: as many rows as were accepted."""
    request = ExportTraceServiceRequest(resource_spans=[{"scope_spans": [{"spans": batch}]}])
    taken = accepted(request.SerializeToString(), TRACES)
    assert taken is not None
    assert rows_of(TRACES, taken).num_rows == taken.verdict.kept


def data_of(kind: str, points: st.SearchStrategy[Any], **fields: Any) -> st.SearchStrategy[Any]:
    """The data of a metric of one kind."""
    whole = {"data_points": st.lists(points, max_size=3), **fields}
    return st.fixed_dictionaries(whole).map(lambda data: {kind: data})


temporality = st.integers(-1, 4)
data = st.one_of(
    st.just({}),
    data_of("gauge", number_points),
    data_of("sum", number_points, aggregation_temporality=temporality, is_monotonic=st.booleans()),
    data_of("histogram", histogram_points, aggregation_temporality=temporality),
    data_of("exponential_histogram", exponential_points, aggregation_temporality=temporality),
    data_of("summary", summary_points),
)
metrics = st.builds(
    lambda name, description, data: {"name": name, "description": description} | data,
    st.sampled_from(["gen_ai.client.token.usage", "runs"]) | texts,
    texts,
    data,
)
requests = st.lists(
    st.fixed_dictionaries(
        {
            "resource": attributes.map(lambda pairs: {"attributes": pairs}),
            "scope_metrics": st.lists(
                st.fixed_dictionaries(
                    {
                        "scope": texts.map(lambda name: {"name": name}),
                        "metrics": st.lists(metrics, max_size=3),
                    }
                ),
                max_size=2,
            ),
        }
    ),
    max_size=2,
).map(lambda resources: ExportMetricsServiceRequest(resource_metrics=resources).SerializeToString())


@settings(max_examples=200)
@given(body=requests, seed=st.integers(0, 2**32) | st.none())
def test_damaged_metrics_are_refused_or_decodable(body: bytes, seed: int | None) -> None:
    """Points of every kind with any value, some bytes changed: as many rows as were accepted."""
    if seed is not None:
        body = damaged(body, random.Random(seed))
    batch = accepted(body, METRICS)
    if batch is not None:
        assert rows_of(METRICS, batch).num_rows == batch.verdict.kept


def names_in(request: bytes) -> list[str]:
    """The metric name of each data point."""
    return [
        metric.name
        for resource in ExportMetricsServiceRequest.FromString(request).resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if (kind := metric.WhichOneof("data"))
        for _ in getattr(metric, kind).data_points
    ]


@settings(max_examples=20)
@given(st.lists(st.lists(requests, min_size=1, max_size=3), min_size=1, max_size=3))
def test_every_accepted_data_point_is_stored_once(segments: Sequence[Sequence[bytes]]) -> None:
    """Whatever points come, in whichever batches and segments: each that was accepted is a row."""
    kept = 0
    sent: Counter[str] = Counter()
    with TemporaryDirectory() as folder:
        data = Path(folder)
        (data / "journal" / "metrics").mkdir(parents=True)
        for sequence, bodies in enumerate(segments, start=1):
            batches = [batch for body in bodies if (batch := accepted(body, METRICS))]
            kept += sum(batch.verdict.kept for batch in batches)
            for batch in batches:
                sent.update(names_in(batch.request))
            (data / "journal" / "metrics" / f"{sequence:020d}.journal").write_bytes(
                b"".join(
                    encode_record(
                        batch.request, time.time_ns(), batch.verdict.kept, digest_of(batch.request)
                    )
                    for batch in batches
                )
            )
        stop = threading.Event()
        stop.set()
        run_writer(WriterSettings(data=data), stop)
        assert not list((data / "journal" / "metrics").glob("*.journal"))
        assert not (data / "journal" / "metrics" / "quarantine").exists()
        with duckdb.connect() as connection:
            Lake(data / "lake").snapshot().attach(connection)
            stored = connection.execute("SELECT name FROM lake_metrics").fetchall()
    assert Counter(name for (name,) in stored) == sent
    assert sent.total() == kept
