"""One write: claim, act, finish. At most one effect per key, and nothing repeated blindly.

An act whose outcome is unknown (it timed out, its reply was lost, its process died) is followed by
whatever is known to be safe, in this order: ask upstream what became of the key; repeat with the
same key, where upstream takes it as one; ask a human. What a human has answered comes first.
"""

import asyncio
import socket
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import httpx

from agent_runtime.claims import FINISH_S, Claim, decide
from agent_runtime.errors import NotDone, WriteInDoubt
from agent_runtime.interrupts import Interrupt
from agent_runtime.store.claims import StoredClaims
from agent_runtime.telemetry import note_error

ACTS = 2
"""How often one call acts: once, and once more when that is known to be safe."""
POLL_S = 0.1
ASKED = "?"
"""Behind the owner of a claim about which a human was asked. Under that name nobody acts any more,
also no call that was stopped for long: the answer would be about another act than its own."""
PATIENCE_LEASES = 2
"""How long one call waits for others that are at the same write, in leases."""
_UNCLEAR_STATUSES = {408, 409, 499}
"""Refusals that do not say whether an earlier or this very request is still being carried out."""
_NOT_SENT = (
    Interrupt,
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    ConnectionRefusedError,
    socket.gaierror,
)


@dataclass(frozen=True, slots=True)
class Write:
    """A write, and who can tell about it. Results are texts as the model reads them."""

    claim: Claim
    timeout_s: float
    keyed: bool
    """Whether upstream takes two requests with the same key as one."""
    act: Callable[[float], Awaitable[str]]
    """Does it, by a time of the event loop's clock."""
    resolve: Callable[[], Awaitable[str]] | None
    """Asks upstream for the result. :raises NotDone: when there is none and will be none."""
    question: Callable[[str, Exception], Interrupt]
    """A question to a human under an id: the answer is for this doubt, and for none after it."""
    told: Callable[[str], str | None]
    """What a human has answered to the question with that id, None if nothing yet.
    :raises NotDone: when they said so."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write."""

    result: str
    replayed: bool
    """Whether it was done already, by an earlier call or one that was not heard of again."""


@dataclass(frozen=True, slots=True)
class _Doubt:
    of: str
    """The owner whose act nobody knows the end of."""
    error: Exception


class Writer:
    """Carries out one call of a write."""

    def __init__(self, claims: StoredClaims, write: Write) -> None:
        self._claims = claims
        self._write = write
        self._key = write.claim.key
        self._owner = uuid.uuid4().hex
        self._lease_s = write.timeout_s + FINISH_S
        self._act_by = 0.0

    async def perform(self) -> Written:
        """Do the write, or find out that it was done.

        :raises Interrupt: when only a human can find out.
        :raises WriteConflict: when the key belongs to a write with other arguments.
        """
        while True:
            obtained = await self._obtain()
            if isinstance(obtained, Written):
                return obtained
            written = await self._carry_out(obtained)
            if written is not None:
                return written

    async def _obtain(self) -> Written | _Doubt | None:
        """The result if there is one; else the claim is ours, with or without a doubt on it."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_LEASES * self._lease_s
        while True:
            self._act_by = loop.time() + self._write.timeout_s
            standing = await self._claims.claim(self._write.claim, self._owner, self._lease_s)
            if standing is None:
                return None
            match decide(self._write.claim, standing):
                case "replay":
                    return Written(str(standing.result), replayed=True)
                case "in_doubt":
                    if await self._take_over(standing.owner):
                        error = WriteInDoubt("whoever began it never said how it ended")
                        return _Doubt(standing.owner.removesuffix(ASKED), error)
                case "wait" if loop.time() > patience:
                    raise self._write.question(self._owner, WriteInDoubt("others are still at it"))
                case "wait":
                    await asyncio.sleep(min(POLL_S, standing.lease_left_s))

    async def _carry_out(self, doubt: _Doubt | None) -> Written | None:
        """Act, unless it turns out that it was done. None: the claim was lost to someone else."""
        acts = 0
        while True:
            if doubt is not None:
                try:
                    known = await self._find_out(doubt, may_repeat=acts < ACTS)
                except NotDone:
                    if acts == ACTS:
                        await self._claims.release(self._key, self._owner)
                        raise doubt.error from None
                    doubt = None
                else:
                    if known is not None:
                        return await self._finish(Written(known, replayed=True))
                if not await self._take_over(self._owner):
                    return None
            acts += 1
            try:
                # By a time from before the claim: a process that was stopped in between must not
                # act on a lease that has run out.
                result = await self._write.act(self._act_by)
            except (Exception, Interrupt) as error:
                # That a repetition was refused or not sent says nothing about the request that is
                # in doubt: a rate limit answers before anybody looks at the key. A tool that asks a
                # human does so before it acts.
                if isinstance(error, NotDone) or (
                    doubt is None and (was_refused(error) or was_not_sent(error))
                ):
                    await self._claims.release(self._key, self._owner)
                    raise
                if isinstance(error, Interrupt):
                    raise
                doubt = _Doubt(self._owner, error)
            else:
                return await self._finish(Written(result, replayed=False))

    async def _find_out(self, doubt: _Doubt, *, may_repeat: bool) -> str | None:
        """The result as upstream or a human knows it; None: nobody knows, but acting is harmless.

        :raises NotDone: when they know that it was not done.
        """
        if (told := self._write.told(doubt.of)) is not None:
            return told
        if self._write.resolve is not None:
            try:
                async with asyncio.timeout(self._write.timeout_s):
                    return await self._write.resolve()
            except NotDone:
                raise
            except Exception as error:  # noqa: BLE001 - then upstream cannot tell
                note_error("resolve failed", error)
        if self._write.keyed and may_repeat:
            return None
        if not await self._leave_in_doubt(doubt.of):
            return None  # nor is it ours to ask about any more
        raise self._write.question(doubt.of, doubt.error)

    async def _leave_in_doubt(self, of: str) -> bool:
        """Let others have the claim at once. It names who acted last: as long as nobody acts again
        it is one doubt, and one question, whoever asks and however often."""
        return await self._claims.take_over(
            self._key, self._owner, self._owner, 0
        ) and await self._claims.take_over(self._key, self._owner, of + ASKED, 0)

    async def _take_over(self, former: str) -> bool:
        self._act_by = asyncio.get_running_loop().time() + self._write.timeout_s
        return await self._claims.take_over(self._key, former, self._owner, self._lease_s)

    async def _finish(self, written: Written) -> Written | None:
        try:
            async with asyncio.timeout(FINISH_S):
                ours = await self._claims.finish(self._key, self._owner, written.result)
        except Exception as error:  # noqa: BLE001 - as an error, the model would do it again
            note_error("finish failed", error)
            return written
        return written if ours else None


def was_refused(error: BaseException) -> bool:
    """Whether an error of a write says that upstream heard of it, did nothing and will not."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return 400 <= status < 500 and status not in _UNCLEAR_STATUSES
    return isinstance(error, NotDone)


def was_not_sent(error: BaseException) -> bool:
    """Whether an error of a write says that upstream never heard of it."""
    return isinstance(error, _NOT_SENT)
