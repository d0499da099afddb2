"""Rows of the user's own mapping reach the lake, by whichever way telemetry comes in."""

import json
import signal
import time
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from tests.cli.running import quietpager
from tests.sidecar import children, start_sidecar, until_gone

OWN = """
[[mapping]]
column = "tenant_id"
attribute = "customer.id"

[[mapping]]
column = "ttfb_ms"
attribute = "acme.first_token"
unit = "s"

[[kinds]]
name = "acme.answer"
span_class = "agent"

[[kinds]]
name = "model_answered"
span_class = "llm"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A quietpager.toml with a tenant, a first token and a kind of work of its own."""
    path = tmp_path / "quietpager.toml"
    path.write_text(OWN)
    return path


def asked(data: Path, query: str) -> list[str]:
    """The rows of an answer, as CSV."""
    done = quietpager("sql", "--data", str(data), "--format", "csv", query)
    return done.stdout.splitlines()[1:]


def span(name: str, **attributes: str | float) -> dict[str, object]:
    """A span of now, in OTLP as JSON."""
    now = time.time_ns()
    return {
        "traceId": f"{now:032x}", "spanId": f"{now % 2**64:016x}", "name": name, "kind": 1,
        "startTimeUnixNano": str(now), "endTimeUnixNano": str(now + 10**9),
        "attributes": [
            {"key": key.replace("__", "."), "value": {"stringValue": value}
             if isinstance(value, str) else {"doubleValue": value}}
            for key, value in attributes.items()
        ],
    }  # fmt: skip


def test_rows_of_the_file_reach_the_writer(tmp_path: Path, config: Path) -> None:
    """A span received by `quietpager up` is stored by the rows of the file."""
    sidecar = start_sidecar(tmp_path / "data", "--config", str(config))
    spans = [span("acme.answer", customer__id="acme", tenant__id="other", acme__first_token=0.25)]
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body).raise_for_status()
    assert sidecar.end() == 0

    query = "SELECT tenant_id, ttfb_ms, span_class FROM spans"
    assert asked(sidecar.data, query) == ["acme,250.0,agent"]


@pytest.mark.parametrize(
    ("event", "span_class"), [("acme.answer", "agent"), ("model_answered", "llm")]
)
def test_rows_of_the_file_hold_for_an_import(
    tmp_path: Path, config: Path, event: str, span_class: str
) -> None:
    """JSON lines of a log that `quietpager import` reads have their keys mapped likewise; an event
    need not have a dot in its name once the file says its kind."""
    line = {"event": event, "customer.id": "acme", "acme.first_token": 0.25,
            "timestamp": datetime.now(UTC).isoformat()}  # fmt: skip
    log = tmp_path / "agent.jsonl"
    log.write_text(json.dumps(line) + "\n")
    data = tmp_path / "data"

    done = quietpager("import", str(log), "--data", str(data), "--config", str(config))

    assert done.returncode == 0, done.stderr
    query = "SELECT tenant_id, ttfb_ms, span_class FROM logs"
    assert asked(data, query) == [f"acme,250.0,{span_class}"]


def test_a_tenant_of_the_file_is_erased(tmp_path: Path, config: Path) -> None:
    """Also what is still in the journal is its tenant's by the rows of the file."""
    sidecar = start_sidecar(tmp_path / "data", "--config", str(config))
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [
        {"scope": {}, "spans": [span("x", customer__id="acme"), span("y", customer__id="globex")]}
    ]}]}  # fmt: skip
    httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body).raise_for_status()
    orphans = children(sidecar).values()
    sidecar.end(signal.SIGKILL)
    for pid in orphans:
        until_gone(pid)

    done = quietpager(
        "erase", "--tenant", "acme", "--yes", "--data", str(sidecar.data), "--config", str(config)
    )

    assert done.returncode == 0, done.stderr
    assert asked(sidecar.data, "SELECT tenant_id FROM spans") == ["globex"]
