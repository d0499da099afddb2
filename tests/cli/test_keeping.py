"""Commands that verify, export and erase, beside a running sidecar."""

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from tests.cli.running import quietpager, run
from tests.sidecar import Sidecar, start_sidecar


@pytest.fixture
def keeping(tmp_path: Path) -> Iterator[Sidecar]:
    """A sidecar with two runs of acme and one of globex, all in the lake."""
    sidecar = start_sidecar(tmp_path / "data")
    spans = [
        each
        for n, tenant in enumerate(("acme", "globex", "acme"))
        for each in run(10 * (n + 1), tenant, "gpt-4o-mini", tool_fails=False)
    ]
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    answer = httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body)
    assert answer.is_success, answer.text
    deadline = time.monotonic() + 60
    while accounts(sidecar)["stored"] < len(spans):
        assert time.monotonic() < deadline, sidecar.log.read_text()
    yield sidecar
    sidecar.end()


def on(sidecar: Sidecar, *arguments: str) -> subprocess.CompletedProcess[str]:
    return quietpager(*arguments, "--data", str(sidecar.data))


def accounts(sidecar: Sidecar) -> dict[str, int]:
    """The counts of the only hour, or zeros."""
    lines = on(sidecar, "verify", "--format", "jsonl").stdout.splitlines()
    return json.loads(lines[0]) if lines else {"stored": 0}  # type: ignore[no-any-return]


def test_verify(keeping: Sidecar) -> None:
    """The table shows days, programs get hours; it exits 0 as long as everything is there."""
    shown = on(keeping, "verify")

    assert shown.returncode == 0, shown.stderr
    header, _, day = shown.stdout.splitlines()
    assert header.split()[:3] == ["signal", "day", "(UTC)"]
    assert day.split()[0] == "traces"
    assert day.split()[-1] == "0"
    assert accounts(keeping)["accepted"] == 9


def test_verify_when_something_is_missing(keeping: Sidecar) -> None:
    """Rows that another engine took out of the table are found, with exit code 1."""
    DeltaTable(keeping.data / "lake" / "spans").delete("tenant_id = 'globex'")

    found = on(keeping, "verify", "--hours")

    assert found.returncode == 1
    assert "hours do not add up" in found.stderr
    assert found.stdout.splitlines()[2].split()[-1] == "3"


def names_acme(path: Path) -> bool:
    with suppress(FileNotFoundError):  # such as a segment of the journal that came and went
        return b"acme" in path.read_bytes()
    return False


def test_erase(keeping: Sidecar) -> None:
    """A tenant's rows go, all of them; the others' stay, and the accounts still add up."""
    refused = on(keeping, "erase", "--tenant", "acme")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "nobody is there to confirm it; add --yes" in refused.stderr

    done = on(keeping, "erase", "--tenant", "acme", "--yes", "--now")

    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].split() == ["spans", "6", "rows", "removed,", "0", "left"]
    left = on(
        keeping, "sql", "--format", "csv", "SELECT tenant_id, count(*) AS n FROM spans GROUP BY 1"
    )
    assert left.stdout == "tenant_id,n\nglobex,3\n"
    assert accounts(keeping) | {"erased": 6, "stored": 3, "missing": 0} == accounts(keeping)
    held = [path for path in keeping.data.rglob("*") if path.is_file() and names_acme(path)]
    assert held == [], "nor do logs of tables, ledger, state and alerts name it"


def test_export(keeping: Sidecar, tmp_path: Path) -> None:
    """One Parquet file per table, of a range and a tenant; a range that ends first is refused."""
    target = tmp_path / "out"

    done = on(keeping, "export", "--tenant", "globex", "--since", "1d", str(target))

    assert done.returncode == 0, done.stderr
    assert pq.read_table(target / "spans.parquet").num_rows == 3
    assert pq.read_table(target / "logs.parquet").num_rows == 0
    assert done.stdout.splitlines()[0].startswith(f"{target / 'spans.parquet'}  3 rows, ")
    refused = on(keeping, "export", "--since", "1h", "--until", "2h", str(target))
    assert refused.returncode == 2
    assert "--since '1h' is not before --until '2h'" in refused.stderr
    twice = ("--table", "spans", "--table", "spans")
    ever = ("--since", "0001-01-01", "--until", "9999-12-31T23:59:59Z")
    once = on(keeping, "export", *twice, *ever, str(target))
    assert (once.returncode, once.stdout.count("9 rows")) == (0, 1), once.stderr
    unknown = on(keeping, "export", "--table", "spns", str(target))
    assert (unknown.returncode, "choose from spans, logs" in unknown.stderr) == (2, True)
