"""The demo of docker-compose.yml, its commands run as processes: runtime to `runs`, two ways."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from tests.collector.pipeline import Pipeline, answers, wait_until
from tests.ports import free_port

pytestmark = [pytest.mark.collector, pytest.mark.timeout(240)]

ENOUGH_RUNS = 25
RUNS = """
SELECT count(*) AS n FROM runs WHERE source = $source AND list_contains($runs, run_id)
"""
LINES = """
SELECT count(*) AS n FROM logs WHERE event_name = 'agent.run' AND list_contains($runs, run_id)
"""
CALLS = """
SELECT count(*) AS n FROM logs
WHERE event_name IN ('agent.cost', 'agent.tool') AND list_contains($runs, run_id)
"""
STORED = """
SELECT run_id, source, tenant_id, agent_name, outcome, llm_calls, tool_errors,
       NULLIF(input_tokens, 0) AS input_tokens, NULLIF(output_tokens, 0) AS output_tokens
FROM runs WHERE list_contains($runs, run_id) ORDER BY run_id
"""


class Demo:
    """The services of the profile, with host names and paths of containers made those of here."""

    def __init__(self, compose: Any, pipeline: Pipeline, log_file: Path) -> None:
        vendor, agent = free_port(), free_port()
        self.vendor_url = f"http://127.0.0.1:{vendor}"
        self.agent_url = f"http://127.0.0.1:{agent}"
        self.log_file = log_file
        self._services = compose["services"]
        self._here = {
            "http://vendor:8400": self.vendor_url,
            "http://agent:8300": self.agent_url,
            "http://collector:4318": pipeline.otlp_http,
            "/var/log/agent/agent.jsonl": shlex.quote(str(log_file)),
            "0.0.0.0": "127.0.0.1",
            "8400": str(vendor),
            "8300": str(agent),
        }

    @contextmanager
    def running(self, name: str, ready: str = "", **environment: str) -> Iterator[None]:
        """Run a service's command; on leaving, stop it as `docker compose stop` does."""
        service = self._services[name]
        command = [self._translated(word) for word in service["entrypoint"] + service["command"]]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        process = subprocess.Popen(command, env={**os.environ, "PATH": path, **environment})
        try:
            if ready:
                wait_until(lambda: answers(ready), 30, f"{name} answers at {ready}")
            yield
            assert process.poll() is None, f"{name} ended with {process.returncode}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=30)

    def _translated(self, word: str) -> str:
        for there, here in self._here.items():
            word = word.replace(there, here)
        return word

    def summaries(self) -> dict[str, Mapping[str, Any]]:
        """The `agent.run` lines that the runtime has written, by run."""
        if not self.log_file.exists():
            return {}
        lines = [line for line in self.log_file.read_text().splitlines() if line.startswith("{")]
        said = [json.loads(line) for line in lines]
        return {line["run_id"]: line for line in said if line["event"] == "agent.run"}

    def work(self, **agent_environment: str) -> dict[str, Mapping[str, Any]]:
        """Have users ask until enough runs have ended; returns what the runtime said of them."""
        with ExitStack() as stack:
            stack.enter_context(self.running("vendor", f"{self.vendor_url}/ledger"))
            stack.enter_context(
                self.running("agent", f"{self.agent_url}/readyz", **agent_environment)
            )
            with self.running("users"):
                wait_until(lambda: len(self.summaries()) >= ENOUGH_RUNS, 60, "runs have ended")
        return self.summaries()


@pytest.fixture(scope="module")
def compose(repository: Path) -> Any:
    """The compose file."""
    return YAML(typ="safe").load((repository / "docker-compose.yml").read_text())


def totals(summaries: Mapping[str, Mapping[str, Any]], source: str) -> list[dict[str, Any]]:
    """What the runtime's lines say of each run, in the columns of the query above."""
    return [
        {
            "run_id": run_id,
            "source": source,
            "tenant_id": line["tenant_id"],
            "agent_name": line["agent_name"],
            "outcome": line["outcome"],
            "llm_calls": line["llm_calls"],
            "tool_errors": line["tool_errors"],
            "input_tokens": line["prompt_tokens"] or None,
            "output_tokens": line["completion_tokens"] or None,
        }
        for run_id, line in sorted(summaries.items())
    ]


def test_spans_and_lines_of_one_agent_are_one_set_of_runs(pipeline: Pipeline, compose: Any) -> None:
    """An agent that sends spans and writes lines: each run once, with the lines' own numbers."""
    demo = Demo(compose, pipeline, pipeline.log_file.with_name("both.jsonl"))
    summaries = demo.work()
    runs = list(summaries)
    pipeline.wait_for(len(runs), RUNS, runs=runs, source="spans")
    pipeline.wait_for(len(runs), LINES, runs=runs)
    assert pipeline.ask(STORED, runs=runs) == totals(summaries, source="spans")


def test_an_agent_that_only_logs_has_the_same_runs(pipeline: Pipeline, compose: Any) -> None:
    """Without any span, the JSON lines alone give the runs, with users, tokens and outcome."""
    demo = Demo(compose, pipeline, pipeline.log_file.with_name("lines.jsonl"))
    summaries = demo.work(OTEL_TRACES_EXPORTER="none")
    runs = list(summaries)
    pipeline.wait_for(len(runs), RUNS, runs=runs, source="logs")
    calls = sum(line["llm_calls"] + line["tool_calls"] for line in summaries.values())
    pipeline.wait_for(calls, CALLS, runs=runs)
    assert pipeline.ask(STORED, runs=runs) == totals(summaries, source="logs")
