"""Builds telemetry row by row, as the writer would have put it into the lake."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from lake import TABLES, Lake

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEXT_DAY = NOON + timedelta(days=1)
CLASSES = {
    "agent.run": "agent",
    "agent.node": "node",
    "agent.cost": "llm",
    "agent.tool": "tool",
    "claude_code.api_request": "llm",
    "claude_code.api_error": "llm",
    "claude_code.tool_result": "tool",
}
"""span_class of lines by event, as the writer sets it."""


def ms(milliseconds: float) -> timedelta:
    return timedelta(milliseconds=milliseconds)


@dataclass
class Telemetry:
    """Spans, log lines and data points in the making; `into` writes them to a lake."""

    spans: list[dict[str, Any]] = field(default_factory=list)
    logs: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    _ids: Iterator[int] = field(default_factory=lambda: count(1))

    def span(
        self,
        span_class: str = "other",
        *,
        trace: str | None = None,
        under: dict[str, Any] | None = None,
        at: datetime = NOON,
        took: float = 100.0,
        **columns: Any,
    ) -> dict[str, Any]:
        """A span below `under`, or a root of `trace` (a new one if None)."""
        number = next(self._ids)
        row = {
            "trace_id": under["trace_id"] if under else trace or f"{number:032x}",
            "span_id": f"{number:016x}",
            "parent_span_id": under["span_id"] if under else None,
            "name": span_class,
            "span_class": span_class,
            "start_time": at,
            "end_time": at + ms(took),
            "duration_ms": took,
            "status": "unset",
            "received_at": at + ms(took),
            "day": at.date(),
        } | columns
        self.spans.append(row)
        return row

    def agent(self, **columns: Any) -> dict[str, Any]:
        return self.span("agent", **{"outcome": "success"} | columns)

    def llm(self, **columns: Any) -> dict[str, Any]:
        defaults = {
            "provider": "openai",
            "request_model": "gpt-4o",
            "input_tokens": 1000,
            "output_tokens": 100,
            "outcome": "success",
        }
        return self.span("llm", **defaults | columns)

    def tool(self, **columns: Any) -> dict[str, Any]:
        return self.span("tool", **{"outcome": "success", "tool_name": "search"} | columns)

    def node(self, **columns: Any) -> dict[str, Any]:
        return self.span("node", **{"outcome": "success", "node": "plan"} | columns)

    def log(self, event: str, *, at: datetime = NOON, **columns: Any) -> dict[str, Any]:
        row = {
            "log_id": f"log-{next(self._ids)}",
            "event_name": event,
            "span_class": CLASSES.get(event, "other"),
            "time": at,
            "severity": "info",
            "received_at": at,
            "day": at.date(),
        } | columns
        self.logs.append(row)
        return row

    def metric(self, name: str, *, at: datetime = NOON, **columns: Any) -> dict[str, Any]:
        row = {
            "metric_id": f"metric-{next(self._ids)}",
            "name": name,
            "kind": "sum",
            "time": at,
            "received_at": at,
            "day": at.date(),
        } | columns
        self.metrics.append(row)
        return row

    def _tables(self) -> Iterator[tuple[str, list[dict[str, Any]]]]:
        yield from (("spans", self.spans), ("logs", self.logs), ("metrics", self.metrics))

    def into(self, lake: Lake, position: int = 1) -> Lake:
        """Append everything as one batch per table."""
        for table, rows in self._tables():
            lake.append(table, pa.Table.from_pylist(rows, schema=TABLES[table].arrow), position)
        return lake

    def lake(self, root: Path) -> Lake:
        return self.into(Lake(root))
