"""Claims: who may act on a write, and what to do about a claim that is there already.

A claim is taken before a write acts and finished after it, so that whatever asks for the same
write again (a crash and a resume, a second process, a second delivery) finds it. Times of leases
are those of the store's clock, never of a process.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from agent_runtime.errors import WriteConflict

FINISH_S = 2.0
"""How long a result may take to be written down; a lease is this much longer than its write."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What is claimed."""

    key: str
    asked_sha256: str
    """Of the arguments as the model wrote them, which no other version of the tool changes."""
    tenant_id: str
    thread_id: str
    tool: str
    arguments_sha256: str | None = None
    """Of the arguments as the tool understands them, with defaults; None when it cannot."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A claim as it stands in the store."""

    owner: str
    """Who may act last; a token of one act, so that no two are taken for each other."""
    asked_sha256: str | None
    """None in claims of versions that did not keep it."""
    arguments_sha256: str
    acts: int
    """How often it was begun, at most, by all who had the claim."""
    result: str | None
    """What its tool answered; None until the write is done."""
    lease_left_s: float
    """How long its owner may still be at work; 0 or less when it no longer can be."""


def decide(claim: Claim, standing: Standing) -> Literal["replay", "wait", "in_doubt"]:
    """What someone has to do who finds a claim on the write that they want to make.

    :raises WriteConflict: when it was claimed with other arguments.
    """
    if not _is_same(claim, standing):
        raise WriteConflict(
            f"tool {claim.tool}: the write with idempotency key {claim.key} was asked for before "
            "with other arguments; repeat those, or ask for it as another operation"
        )
    if standing.result is not None:
        return "replay"
    return "wait" if standing.lease_left_s > 0 else "in_doubt"


def _is_same(claim: Claim, standing: Standing) -> bool:
    """Whether both are of one write: what was written is the same, or what was understood."""
    if claim.asked_sha256 == standing.asked_sha256:
        return True
    if claim.arguments_sha256 is None:
        # Nothing can be compared; but whoever could would have found the claim under this key.
        return standing.asked_sha256 is None
    return claim.arguments_sha256 == standing.arguments_sha256


def key_of_call(
    *,
    agent_name: str,
    tenant_id: str,
    thread_id: str,
    turn_id: str,
    node: str,
    position: int,
    call_id: str,
) -> str:
    """The idempotency key of a tool call in the message at that position of a thread.

    Without the attempt: a repetition is the same write. Without the run: a resumed one has another
    id. With turn and position: models give ids like "call_0" again and again.
    """
    return digest([agent_name, tenant_id, thread_id, turn_id, node, position, call_id])


def digest(parts: Sequence[object]) -> str:
    """SHA-256, in hex, of values that JSON can hold; tells ("a", "bc") from ("ab", "c")."""
    return hashlib.sha256(json.dumps(list(parts), sort_keys=True).encode()).hexdigest()
