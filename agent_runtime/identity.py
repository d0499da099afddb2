"""Who a run is for: on every span, every line and every downstream call."""

import json
from contextvars import ContextVar
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """Identity of one run; tenant and user come from the edge, never from a model."""

    thread_id: str
    user_id: str
    tenant_id: str
    run_id: str
    turn_id: str
    """Of what the user said: a run that resumes another one has its turn."""
    agent_name: str
    feature: str | None

    def attributes(self) -> dict[str, str]:
        """As span attributes."""
        attributes = {
            "tenant.id": self.tenant_id,
            "user.id": self.user_id,
            "gen_ai.conversation.id": self.thread_id,
            "agent.run.id": self.run_id,
            "gen_ai.agent.name": self.agent_name,
        }
        if self.feature is not None:
            attributes["agent.feature"] = self.feature
        return attributes

    def fields(self) -> dict[str, str | None]:
        """As fields of a JSON line."""
        return {
            "thread_id": self.thread_id,
            "user_id": self.user_id,
            "tenant_id": self.tenant_id,
            "run_id": self.run_id,
            "agent_name": self.agent_name,
            "feature": self.feature,
        }


def pseudonym(tenant_id: str, user_id: str) -> str:
    """What model vendors are told of a user: a digest, which tells them nobody's name.

    The part before the ``-`` is the tenant's. Whoever knows the ids can tell whom a vendor means,
    which makes it no secret. It has 49 characters; vendors take 64.
    """
    return f"{_digest(tenant_id)[:16]}-{_digest(tenant_id, user_id)[:32]}"


def _digest(*ids: str) -> str:
    return sha256(json.dumps(ids).encode()).hexdigest()


current_run: ContextVar[RunIdentity] = ContextVar("agent_runtime_run")
"""The run that the current task works for."""

current_node: ContextVar[str] = ContextVar("agent_runtime_node")
"""The node that the current task works in; a task that a node started stays in that node."""

current_write: ContextVar[str] = ContextVar("agent_runtime_write")
"""The idempotency key of the write that the current task carries out."""


def node_attributes() -> dict[str, str]:
    """The current node as span attributes; none outside of nodes."""
    node = current_node.get(None)
    return {} if node is None else {"agent.node": node}
