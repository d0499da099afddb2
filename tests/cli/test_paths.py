"""A sidecar in a directory whose name needs care: everything that reads its data does."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.cli.running import Done, process, quietpager, run
from tests.sidecar import Sidecar, start_sidecar


@pytest.fixture
def sidecar(tmp_path: Path) -> Iterator[Sidecar]:
    """With a run of acme and one of globex, which it has acknowledged."""
    data = tmp_path / "tenant_id=zz" / "My Project é #1? it's *{a,b}" / ".quietpager"
    data.parent.mkdir(parents=True)
    sidecar = start_sidecar(data)
    spans = [
        each
        for n, tenant in enumerate(("acme", "globex"))
        for each in run(10 * (n + 1), tenant, "gpt-4o-mini", tool_fails=False)
    ]
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body).raise_for_status()
    yield sidecar
    sidecar.end()


def test_what_was_acknowledged_is_read_proved_exported_and_erased(
    sidecar: Sidecar, tmp_path: Path
) -> None:
    """As in any other directory, and rows have their own tenant, not one of a directory's name."""

    def on(*arguments: str) -> Done:
        done = quietpager(*arguments, "--data", str(sidecar.data))
        assert done.returncode == 0, done.stderr
        return done

    def spans() -> str:
        question = "SELECT tenant_id, count(*) AS n FROM spans GROUP BY 1 ORDER BY 1"
        return on("sql", "--format", "csv", question).stdout

    deadline = time.monotonic() + 30
    while spans() != "tenant_id,n\nacme,3\nglobex,3\n":
        assert time.monotonic() < deadline, sidecar.log.read_text()

    [hour] = map(json.loads, on("verify", "--format", "jsonl").stdout.splitlines())
    assert (hour["accepted"], hour["stored"], hour["missing"]) == (6, 6, 0)
    found = map(json.loads, on("doctor", "--format", "jsonl").stdout.splitlines())
    assert {"accounts", "files"} <= {each["check"] for each in found if each["state"] == "ok"}
    assert httpx.get(f"{sidecar.endpoints['Dashboard']}/").is_success
    on("export", "--since", "1d", str(sidecar.data.parent / "out"))
    assert (sidecar.data.parent / "out" / "spans.parquet").is_file()

    erased = on("erase", "--tenant", "acme", "--yes", "--now")

    assert erased.stdout.splitlines()[0].split() == ["spans", "3", "rows", "removed,", "0", "left"]
    assert spans() == "tenant_id,n\nglobex,3\n"
    on("verify")


def test_up_where_no_table_can_be_kept(tmp_path: Path) -> None:
    """It is refused before anything is acknowledged, also where nobody named the directory."""
    (tmp_path / "a%20b").mkdir()

    anywhere = (f"--{port}=127.0.0.1:0" for port in ("otlp-http", "otlp-grpc", "dashboard"))

    refused = process("up", *anywhere, cwd=tmp_path / "a%20b")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.startswith("quietpager: data: ")
    assert "has '%20' in its path" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert list((tmp_path / "a%20b").iterdir()) == []
