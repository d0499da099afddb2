"""Threads in a store: who runs one now, what its nodes left, and where its turn goes on.

A run holds its thread's lease while it lasts. Each time the lease is taken its fence grows, and
whatever is written must show the newest one: a run that was taken for dead changes nothing.
"""

import asyncio
import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from decimal import Decimal
from typing import Any, Self

import orjson
from pydantic import TypeAdapter, ValidationError

from agent_runtime.as_json import as_json
from agent_runtime.claims import digest
from agent_runtime.errors import (
    LeaseLost,
    NotAsked,
    NothingToResume,
    StateNotStorable,
    StoreError,
    ThreadBusy,
    ThreadNotFound,
)
from agent_runtime.graph import END, State
from agent_runtime.interrupts import NOTHING, Asked, Resume, not_asked
from agent_runtime.limits import NOTHING_SPENT, Spent
from agent_runtime.masking import quoted
from agent_runtime.messages import Message
from agent_runtime.store import Store
from agent_runtime.tally import Tally
from agent_runtime.under_way import UnderWay

LEASE_S = 15.0
"""How long a thread stays with a run of which nothing is heard; longer than a store's patience."""
JSON_ONLY = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
MESSAGES = TypeAdapter(tuple[Message, ...])


@dataclass(frozen=True, slots=True)
class ThreadKey:
    """One thread. Tenants cannot name each other's: the same id of two tenants is two threads."""

    tenant_id: str
    agent_name: str
    thread_id: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where a thread stands: behind what the user said, or behind a node."""

    run_id: str
    turn_id: str
    step: int
    """Nodes executed in the turn."""
    next_node: str
    """Where the turn goes on; END once it is done."""
    state: State
    asked: Asked | None = None
    """What a human has to answer first."""
    answers: Mapping[str, Any] = field(default_factory=dict)
    """What humans have answered in ``next_node``."""
    spent: Spent = NOTHING_SPENT
    """By the turn so far."""

    @property
    def question(self) -> str | None:
        """The id of what is asked, the same as long as the same is asked at the same place."""
        if self.asked is None:
            return None
        return digest([self.turn_id, self.step, self.next_node, self.asked.key])[:32]


class HeldThread:
    """A thread of which the lease is held."""

    def __init__(
        self, store: Store, key: ThreadKey, fence: int, lease_s: float, tally: Tally
    ) -> None:
        self._store = store
        self._tally = tally
        self._key = asdict(key)
        self._fence = fence
        self._lease_s = lease_s
        self._until = asyncio.get_running_loop().time() + lease_s
        self._seq = 0
        self._messages = 0
        self._writing = asyncio.Lock()
        self._renewals = UnderWay()
        self.found: Checkpoint | None = None
        """Where it stood when the lease was taken; None for a new thread."""

    @classmethod
    async def acquire(
        cls,
        store: Store,
        key: ThreadKey,
        run_id: str,
        lease_s: float,
        tally: Tally,
        *,
        create: bool,
    ) -> Self:
        """Take the lease and look where the thread stands.

        :raises ThreadBusy: when another run has it.
        :raises ThreadNotFound: when there is no such thread and none is to be made.
        """
        rows = await store.execute(
            "acquire_lease", tally, **asdict(key), owner=run_id, lease_s=lease_s, create=create
        )
        if not rows:
            left = await store.execute("lease_left", tally, **asdict(key))
            if not left:
                raise ThreadNotFound(f"there is no thread {key.thread_id!r}")
            raise ThreadBusy(
                f"thread {key.thread_id!r} is being run", max(1, math.ceil(left[0]["seconds"]))
            )
        held = cls(store, key, rows[0]["fence"], lease_s, tally)
        try:
            held.found, held._seq = await _load(store, key, tally)
        except BaseException:
            await asyncio.shield(held.release())
            raise
        held._messages = len(held.found.state.messages) if held.found else 0
        return held

    def first(self, what: str | Resume, run_id: str, entry: str) -> Checkpoint:
        """Where a run begins: behind what the user said, or where the turn stopped.

        :raises NothingToResume: when the turn is done, or waits for no answer.
        :raises NotAsked: when it waits for the answer to another question.
        """
        found = self.found
        if isinstance(what, str):
            before = () if found is None else found.state.messages
            what = what.encode("utf-8", "replace").decode()  # as it will be read again
            return Checkpoint(run_id, run_id, 0, entry, State((*before, Message("user", what))))
        thread = f"thread {self._key['thread_id']!r}"
        if found is None or found.next_node == END:
            raise NothingToResume(f"the turn of {thread} is done; start another one")
        if what.value is NOTHING and what.question is None:
            return replace(found, run_id=run_id)
        if found.asked is None:
            raise NothingToResume(f"{thread} waits for no answer; resume it without a value")
        if what.value is NOTHING or what.question != found.question:
            raise NotAsked(not_asked(thread, what))
        answers = {**found.answers, found.asked.key: what.value}
        return replace(found, run_id=run_id, asked=None, answers=answers)

    async def keep(self) -> None:
        """Hold the lease; returns when it was lost, or may have been."""
        clock = asyncio.get_running_loop().time
        while (left := self._until - clock()) > 0:
            await asyncio.sleep(min(self._lease_s / 3, left))
            asked = clock()
            try:
                async with asyncio.timeout_at(self._until):
                    # Finished when this is cancelled: the store may carry it out all the same, and
                    # must not do so behind the release.
                    if not await self._renewals.finish(self._renew()):
                        return
            except StoreError:
                continue
            except TimeoutError:
                return
            self._until = asked + self._lease_s

    async def save(self, at: Checkpoint) -> None:
        """Write a checkpoint.

        :raises LeaseLost: when the thread is no longer ours; nothing was written.
        :raises StateNotStorable: when a value is not JSON.
        """
        waiting = None if at.asked is None else asdict(at.asked)
        async with self._writing:
            messages = _encoded("messages", at.state.messages[self._messages :], 0, asdict)
            _check(messages)
            await self._write(
                "save_checkpoint",
                at.spent,
                seq=self._seq + 1,
                run_id=at.run_id,
                turn_id=at.turn_id,
                step=at.step,
                next_node=at.next_node,
                messages=messages,
                state_values=_encoded("values", at.state.values),
                interrupts=_encoded("answers", {"asked": waiting, "answers": at.answers}),
            )
            self._seq += 1
            self._messages = len(at.state.messages)

    async def note_spending(self, spent: Spent) -> None:
        """Note what the turn may have spent by now, for whoever goes on with it.

        :raises LeaseLost: when the thread is no longer ours.
        """
        async with self._writing:
            await self._write("note_spending", spent, seq=self._seq)

    async def _write(self, statement: str, spent: Spent, **values: Any) -> None:
        used = {"turn_tokens": spent.tokens, "turn_usd": str(spent.usd)}
        tally = _encoded("tally", self._tally.fields() | used)
        rows = await self._store.execute(
            statement, self._tally, **self._key, fence=self._fence, tally=tally, **values
        )
        if not rows:
            raise LeaseLost(f"another run has thread {self._key['thread_id']!r} now")

    async def release(self) -> None:
        """Give the lease back, behind its renewal. When that fails, it runs out by itself."""
        await self._renewals.settle(self._lease_s)
        with suppress(StoreError):
            await self._store.execute("release_lease", **self._key, fence=self._fence)

    async def _renew(self) -> bool:
        return bool(
            await self._store.execute(
                "renew_lease", **self._key, fence=self._fence, lease_s=self._lease_s
            )
        )


async def look_up(store: Store, key: ThreadKey) -> tuple[Checkpoint, bool]:
    """Where a thread stands, and whether it is being run.

    :raises ThreadNotFound: when there is no such thread.
    """
    lease = await store.execute("lease_left", **asdict(key))
    found, _ = await _load(store, key, None)
    if found is None:
        raise ThreadNotFound(f"there is no thread {key.thread_id!r}")
    return found, bool(lease) and lease[0]["seconds"] > 0


async def _load(store: Store, key: ThreadKey, tally: Tally | None) -> tuple[Checkpoint | None, int]:
    rows = await store.execute("load_thread", tally, **asdict(key))
    if not rows:
        return None, 0
    messages = [message for row in rows for message in MESSAGES.validate_json(row["messages"])]
    last = rows[-1]
    # Not by orjson, to which a number beyond 64 bits is a float.
    waiting, used = json.loads(last["interrupts"]), json.loads(last["tally"])
    return Checkpoint(
        run_id=last["run_id"],
        turn_id=last["turn_id"],
        step=last["step"],
        next_node=last["next_node"],
        state=State(tuple(messages), json.loads(last["state_values"])),
        asked=None if waiting["asked"] is None else Asked(**waiting["asked"]),
        answers=waiting["answers"],
        spent=Spent(used.get("turn_tokens", 0), Decimal(used.get("turn_usd", 0))),
    ), last["seq"]


def _check(messages: str) -> None:
    """What could not be read again would make the thread useless for ever."""
    try:
        MESSAGES.validate_json(messages)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise StateNotStorable(
            f"a node left {quoted(wrong['input'])} where messages have something else: "
            f"{wrong['msg']}"
        ) from error


def _encoded(
    name: str,
    value: Any,
    options: int = JSON_ONLY,
    default: Callable[[Any], Any] | None = None,
) -> str:
    try:
        return as_json(value, default=default, options=options).decode()
    except TypeError as error:
        raise StateNotStorable(
            f"{name} of the state cannot be kept: {error}; use what JSON has: text, numbers, "
            "true, false, null, lists, and objects with text for keys"
        ) from error
