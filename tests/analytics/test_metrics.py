"""The view `metrics`: every data point once, beside the figures and never among them."""

from collections.abc import Callable

from analytics.questions import ORDER, steps_for
from tests.analytics.conftest import Rows
from tests.analytics.telemetry import NOON, Telemetry, ms


def test_a_point_delivered_twice_counts_once(
    telemetry: Telemetry, rows: Callable[[str], Rows]
) -> None:
    """The copy received first stands; another point of the same series is another row."""
    point = telemetry.metric("tokens", value=10.0)
    telemetry.metrics.append(point | {"received_at": NOON + ms(5)})
    telemetry.metric("tokens", value=10.0)
    assert (
        rows("SELECT value, received_at FROM metrics") == [{"value": 10.0, "received_at": NOON}] * 2
    )


def test_metrics_are_never_added_to_spans(
    telemetry: Telemetry, rows: Callable[[str], Rows]
) -> None:
    """Usage that an agent reports as spans and as metrics is counted from the spans alone."""
    run = telemetry.agent(tenant_id="acme")
    telemetry.llm(under=run, tenant_id="acme", input_tokens=1000, output_tokens=100)
    for kind, tokens in (("input", 1000.0), ("output", 100.0)):
        telemetry.metric(
            "gen_ai.client.token.usage", kind="histogram", sum=tokens, count=1, tenant_id="acme",
            token_type=kind, request_model="gpt-4o",
        )  # fmt: skip
    answer = rows("SELECT (SELECT sum(sum) FROM metrics) AS measured, runs.* FROM runs")
    assert [
        (row["measured"], row["llm_calls"], row["input_tokens"], row["output_tokens"])
        for row in answer
    ] == [(1100.0, 1, 1000, 100)]


def test_no_other_view_reads_metrics() -> None:
    """None of the steps that lead to a view or to a question's figures rests on the points."""
    for name in ORDER:
        if name != "metrics":
            assert not {"metrics", "lake_metrics"} & {
                source for step in steps_for([name]) for source in step.rests_on
            }


def test_buckets_can_be_asked_about(telemetry: Telemetry, rows: Callable[[str], Rows]) -> None:
    """Lists of bounds and counts stay lists in SQL."""
    telemetry.metric(
        "gen_ai.client.operation.duration", kind="histogram", count=3,
        bucket_bounds=[0.5, 1.0], bucket_counts=[2, 1, 0],
    )  # fmt: skip
    assert rows("SELECT bucket_bounds[1] AS first, bucket_counts FROM metrics") == [
        {"first": 0.5, "bucket_counts": [2, 1, 0]}
    ]
