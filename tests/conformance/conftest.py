"""Every recorded payload, taken in as the sidecar does, and what the analytics views say of it."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from analytics import Analytics
from ingest.decode import decode
from ingest.rows import log_rows, span_rows
from lake import Lake
from tests.ingest.values import RECEIVED

PAYLOADS = Path(__file__).parents[1] / "fixtures" / "otlp"
MANIFEST = {
    entry["fixture"]: entry for entry in json.loads((PAYLOADS / "MANIFEST.json").read_text())
}

Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Recorded:
    """What the views say of one fixture, and what its manifest says is so."""

    entry: dict[str, Any]
    model_calls: Rows
    tool_calls: Rows
    runs: Rows
    rows: Rows

    @property
    def golden(self) -> dict[str, Any]:
        """The vendor's book."""
        return self.entry["golden"]  # type: ignore[no-any-return] # read from data

    def told(self, name: str) -> Any:
        """What the telemetry says where it is right: the golden value, None if it says nothing."""
        if name in self.entry.get("untold", {}):
            return None
        wrong = self.entry.get("misreported", {}).get(name)
        return wrong["as"] if wrong else self.golden[name]


def _taken_in(name: str, lake: Lake) -> None:
    for table, signal, rows_of in (("spans", "traces", span_rows), ("logs", "logs", log_rows)):
        path = PAYLOADS / f"{table}_{name}.pb"
        if path.exists():
            for batch in rows_of(decode(signal, [path.read_bytes()], [RECEIVED])):
                lake.append(table, batch, 1)


@pytest.fixture(scope="module", params=list(MANIFEST))
def recorded(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[Recorded]:
    """One fixture after the other, each in a lake of its own."""
    name = request.param
    lake = Lake(tmp_path_factory.mktemp(name))
    with ExitStack() as stack:
        _taken_in(name, lake)
        analytics = stack.enter_context(Analytics(lake, threads=1))

        def ask(sql: str) -> Rows:
            return analytics.query(sql, {}).to_pylist()

        yield Recorded(
            MANIFEST[name],
            model_calls=ask("SELECT * FROM llm_calls ORDER BY started_at, span_id"),
            tool_calls=ask("SELECT * FROM tool_calls ORDER BY started_at, span_id"),
            runs=ask("SELECT * FROM runs ORDER BY started_at, run_id"),
            rows=ask("SELECT * FROM spans"),
        )
