"""A real sidecar with a few runs in it."""

import time
from collections.abc import Iterator

import httpx
import pytest

from tests.cli.running import quietpager, run
from tests.sidecar import Sidecar, start_sidecar


@pytest.fixture(scope="session")
def sidecar(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecar]:
    """A sidecar that has 30 runs: 20 of acme, 10 of globex, of which 5 with an unknown model."""
    sidecar = start_sidecar(tmp_path_factory.mktemp("cli") / "data")
    spans = [
        each
        for n in range(30)
        for each in run(
            10 * (n + 1),
            "globex" if n % 3 == 0 else "acme",
            "our-own-7b" if n % 6 == 0 else "gpt-4o-mini",
            tool_fails=n < 3,
        )
    ]
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    answer = httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body)
    assert answer.is_success, answer.text
    deadline = time.monotonic() + 30
    while (
        "30"
        not in quietpager(
            "sql", "--data", str(sidecar.data), "--format", "csv", "SELECT count(*) AS n FROM runs"
        ).stdout
    ):
        assert time.monotonic() < deadline, sidecar.log.read_text()
    yield sidecar
    sidecar.end()
