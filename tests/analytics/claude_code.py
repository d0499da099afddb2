"""What Claude Code sends: OTLP log records with the attributes that its documentation lists.

https://code.claude.com/docs/en/monitoring-usage: numbers come as text, the short event name is an
attribute and the full one the body, cached tokens are counted beside the input.
"""

from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue


def _pairs(attributes: dict[str, str]) -> list[KeyValue]:
    return [KeyValue(key=k, value=AnyValue(string_value=v)) for k, v in attributes.items()]


@dataclass
class Session:
    """A session of one user; events of the same prompt share its ``prompt.id``."""

    session_id: str = "0b6f6a0e-8c3f-4b5e-9d0a-2f1f3c1f7a11"
    organization_id: str = "org-acme"
    request: ExportLogsServiceRequest = field(default_factory=ExportLogsServiceRequest)

    def __post_init__(self) -> None:
        group = self.request.resource_logs.add()
        group.resource.attributes.extend(
            _pairs({"service.name": "claude-code", "service.version": "2.1.9", "os.type": "linux"})
        )
        self._records = group.scope_logs.add()
        self._records.scope.name = "com.anthropic.claude_code.events"
        self._numbers = count(1)

    def event(self, name: str, at: datetime, prompt: str | None, **attributes: Any) -> None:
        """Any event; a dunder in an attribute's name stands for a dot."""
        record = self._records.log_records.add()
        record.time_unix_nano = int(at.timestamp() * 1_000_000) * 1000
        record.body.string_value = f"claude_code.{name}"
        told = {
            "session.id": self.session_id,
            "user.id": "4f1d9c0d6d0f",
            "user.email": "ada@example.com",
            "organization.id": self.organization_id,
            "terminal.type": "vscode",
            "event.name": name,
            "event.timestamp": at.isoformat(),
            "event.sequence": str(next(self._numbers)),
            **({} if prompt is None else {"prompt.id": prompt}),
            **{key.replace("__", "."): str(value) for key, value in attributes.items()},
        }
        record.attributes.extend(_pairs(told))

    def prompted(self, at: datetime, prompt: str) -> None:
        self.event("user_prompt", at, prompt, prompt_length=42)

    def answered(self, at: datetime, prompt: str | None, request_id: str, **usage: int) -> None:
        tokens = {"input_tokens": 4, "output_tokens": 200, "cache_read_tokens": 12_000,
                  "cache_creation_tokens": 900} | usage  # fmt: skip
        self.event(
            "api_request", at, prompt, model="claude-sonnet-4-5", cost_usd="0.0123",
            duration_ms=3000, request_id=request_id, query_source="repl_main_thread", **tokens,
        )  # fmt: skip

    def delegated(self, at: datetime, prompt: str, request_id: str, subagent: str) -> None:
        """A request of a subagent, and what newer versions say of it again: it is refused, its
        retries are over, the conversation is compacted, it completes."""
        self.event(
            "api_request", at, prompt, model="claude-sonnet-4-5", cost_usd="0.0123",
            cost_usd_micros=12_300, duration_ms=1500, request_id=request_id,
            client_request_id="6f0f2c34-0d5d-4f0e-9f7e-0c2a3a5b1d10", speed="normal",
            query_source=subagent, effort="high", agent__name=subagent, input_tokens=10,
            output_tokens=20, cache_read_tokens=0, cache_creation_tokens=0,
        )  # fmt: skip
        self.event(
            "api_refusal", at, prompt, model="claude-sonnet-4-5", request_id=request_id,
            query_source=subagent, speed="normal", attempt=1, server_fallback_hop="true",
            agent__name=subagent,
        )  # fmt: skip
        self.event(
            "api_retries_exhausted", at, prompt, model="claude-sonnet-4-5", error="Overloaded",
            status_code=529, total_attempts=11, total_retry_duration_ms=90_000, speed="normal",
        )  # fmt: skip
        self.event(
            "compaction", at, prompt, trigger="auto", success="true", duration_ms=4000,
            pre_tokens=150_000, post_tokens=20_000,
        )  # fmt: skip
        self.event(
            "subagent_completed", at, prompt, agent_type=subagent, total_tokens=30,
            total_tool_uses=0, duration_ms=1500,
        )  # fmt: skip

    def refused(self, at: datetime, prompt: str, attempt: int) -> None:
        self.event(
            "api_error", at, prompt, model="claude-sonnet-4-5", error="Overloaded",
            status_code=529, duration_ms=800, attempt=attempt,
        )  # fmt: skip

    def used(self, at: datetime, prompt: str, tool: str, *, success: bool = True) -> None:
        self.event(
            "tool_result", at, prompt, tool_name=tool, duration_ms=120,
            success="true" if success else "false", decision_type="accept",
            **({} if success else {"error": "exit code 1"}),
        )  # fmt: skip
