"""Content over the wire to a real sidecar, and every byte that it stored of it."""

from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from tests.cli.running import quietpager
from tests.cli.test_doctor import findings
from tests.ingest.content import CANARY, planted_logs, planted_metrics, planted_spans
from tests.sidecar import Sidecar, start_sidecar

ALLOWED = 'retention_days = 36500\n[privacy]\nkeep_content_for = ["acme"]\n'
TENANTS = ("acme", "globex", None)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Sidecar:
    """A sidecar that keeps content for acme, after it was sent content of everybody, and ended."""
    folder = tmp_path_factory.mktemp("content")
    (folder / "quietpager.toml").write_text(ALLOWED)
    sidecar = start_sidecar(folder / "data", "--config", str(folder / "quietpager.toml"))
    url = sidecar.endpoints["OTLP/HTTP"]
    for tenant in TENANTS:
        for signal, request in (
            ("traces", planted_spans(tenant)),
            ("logs", planted_logs(tenant)),
            ("metrics", planted_metrics(tenant)),
        ):
            assert httpx.post(
                f"{url}/v1/{signal}",
                content=request.SerializeToString(),
                headers={"content-type": "application/x-protobuf"},
            ).is_success
    modes = {path.stat().st_mode & 0o777 for path in (folder / "data").glob("journal/*/*.open")}
    assert modes <= {0o600}
    assert sidecar.end() == 0
    return sidecar


def rows_in(folder: Path) -> dict[str, list[str]]:
    """Every value of every row of all Parquet files below, by table and by tenant."""
    found: dict[str, list[str]] = {}
    for path in folder.rglob("*.parquet"):
        for row in pq.ParquetFile(path).read().to_pylist():
            found.setdefault(str(row.get("tenant_id")), []).append(str(row))
    return found


def test_only_the_allowed_tenant_has_content_in_the_lake(told: Sidecar) -> None:
    """Every column of every stored row is read; counts and reasons are there for everybody."""
    stored = rows_in(told.data / "lake")
    assert stored.keys() == {"acme", "globex", "None"}
    assert all(CANARY in row for row in stored["acme"])
    for tenant in ("globex", "None"):
        assert not [row for row in stored[tenant] if CANARY in row]
        assert any("'input_tokens': 131" in row for row in stored[tenant])
        assert any("'finish_reason': 'stop'" in row for row in stored[tenant])
    everywhere = b"".join(p.read_bytes() for p in told.data.rglob("*") if p.suffix == ".journal")
    assert everywhere == b""


def test_an_export_has_no_more_than_the_lake(told: Sidecar, tmp_path: Path) -> None:
    """What one tenant is given has nothing that was said."""
    done = quietpager(
        "export", str(tmp_path / "x"), "--data", str(told.data), "--tenant", "globex",
        "--since", "2026-11-01",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    exported = rows_in(tmp_path / "x")
    assert set(exported) == {"globex"}
    assert CANARY not in str(exported)


def test_the_doctor_tells_of_content_that_was_dropped(told: Sidecar) -> None:
    """By service, with what to do about it, and never a value of it."""
    found = findings(told.data, exit_code=0)
    note = found["content", "note"]
    assert "'loud'" in note["found"]
    assert "collector" in note["remedy"]
    assert CANARY not in str(found)


def test_the_drops_are_a_metric(tmp_path: Path) -> None:
    """Attributes and bodies per signal, in the receiver's OpenMetrics, over restarts."""
    sidecar = start_sidecar(tmp_path / "data")
    body = planted_spans(under=["prompt"]).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}
    url = sidecar.endpoints["OTLP/HTTP"]
    assert httpx.post(f"{url}/v1/traces", content=body, headers=headers).is_success
    sidecar.end()
    sidecar = start_sidecar(tmp_path / "data")
    text = httpx.get(f"{sidecar.endpoints['OTLP/HTTP']}/metrics").text
    sidecar.end()
    assert 'quietpager_ingest_dropped_content_total{signal="traces"} 5.0' in text


def test_an_imported_line_keeps_content_for_the_allowed_tenant_only(tmp_path: Path) -> None:
    """The switch holds for files as well."""
    (tmp_path / "quietpager.toml").write_text(ALLOWED)
    lines = [f'{{"event":"e","tenant_id":"{t}","prompt":"{CANARY}"}}' for t in ("acme", "globex")]
    (tmp_path / "agent.jsonl").write_text("\n".join(lines) + "\n")
    done = quietpager(
        "import", str(tmp_path / "agent.jsonl"), "--data", str(tmp_path / "data"),
        "--config", str(tmp_path / "quietpager.toml"),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    stored = rows_in(tmp_path / "data" / "lake")
    assert [CANARY in row for tenant in ("acme", "globex") for row in stored[tenant]] == [
        True,
        False,
    ]
