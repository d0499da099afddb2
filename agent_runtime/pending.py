"""Writes at which a thread's turn stopped, which a new turn must not overtake."""

from agent_runtime.claims import key_of_call
from agent_runtime.errors import WritePending
from agent_runtime.graph import END
from agent_runtime.store.claims import StoredClaims
from agent_runtime.threads import Checkpoint, ThreadKey


async def refuse_over_writes(key: ThreadKey, at: Checkpoint | None, claims: StoredClaims) -> None:
    """Keep a new turn from beginning while the one before has not heard how its writes ended.

    Its model would know nothing of them, and ask for them again under other keys. Those that are
    done once per operation can be asked for again.

    :raises WritePending: when there is such a write.
    """
    if at is None or at.next_node == END:
        return
    position = len(at.state.messages) - 1
    for call in at.state.messages[-1].tool_calls:
        write = key_of_call(
            agent_name=key.agent_name, tenant_id=key.tenant_id, thread_id=key.thread_id,
            turn_id=at.turn_id, node=at.next_node, position=position, call_id=call.id,
        )  # fmt: skip
        if await claims.find(write) is not None:
            raise WritePending(
                f"thread {key.thread_id!r} stopped at a write of tool {call.name} (idempotency "
                f"key {write}) and has not heard how it ended; resume it before you say more"
            )
