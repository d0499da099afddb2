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

from agent_runtime.claims import FINISH_S, Claim, Standing, decide
from agent_runtime.errors import NotBegun, NotDone, WriteInDoubt
from agent_runtime.interrupts import Interrupt
from agent_runtime.store.claims import StoredClaims
from agent_runtime.telemetry import note_error

ACTS = 2
"""How often a write is begun, by all who ask for it: once, and once more when that is safe. When a
human has said that it was not done, it counts anew."""
POLL_S = 0.1
ASKED = "?"
"""Behind the owner of a claim about which a human was asked. Under that name nobody acts any more,
also no call that was stopped for long: the answer would be about another act than its own."""
PATIENCE_LEASES = 2 * ACTS
"""How long one call waits for others that are at the same write, in leases: each time they act, and
ask what became of it."""
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
    abandoned: Callable[[], bool]
    """Whether nobody waits for it any more: then it is not begun, or begun again."""


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
        self._owner = ""
        self._acts = 0
        self._lease_s = write.timeout_s + FINISH_S
        self._act_by = 0.0
        self._clock = asyncio.get_running_loop().time
        self._came = self._seen_since = self._clock()
        self._seen = ""

    async def perform(self) -> Written:
        """Do the write, or find out that it was done.

        :raises Interrupt: when only a human can find out.
        :raises NotBegun: when its run has ended, or it came to it too late; nothing was sent.
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
        self._owner = uuid.uuid4().hex
        while True:
            self._act_by = self._clock() + self._write.timeout_s
            standing = await self._claims.claim(self._write.claim, self._owner, self._lease_s)
            if standing is None:
                self._acts = 1
                return None
            match decide(self._write.claim, standing):
                case "replay":
                    return Written(str(standing.result), replayed=True)
                case "in_doubt":
                    if await self._take(standing):
                        error = WriteInDoubt("whoever began it never said how it ended")
                        return _Doubt(_act_of(standing), error)
                case "wait":
                    error = WriteInDoubt("others are still at it")
                    doubt = _Doubt(_act_of(standing), error)
                    if not self._was_told(doubt.of):
                        await self._wait(standing, doubt)
                    elif await self._take(standing, at_once=True):
                        return doubt

    async def _wait(self, standing: Standing, doubt: _Doubt) -> None:
        if self._write.abandoned():
            raise self._not_begun("its run has ended")
        now = self._clock()
        if doubt.of != self._seen:
            self._seen, self._seen_since = doubt.of, now
        # Not before that very act is over: what a human finds then will not change any more.
        seen_for, waited = now - self._seen_since, now - self._came
        if seen_for > self._lease_s and waited > PATIENCE_LEASES * self._lease_s:
            raise self._write.question(doubt.of, doubt.error)
        await asyncio.sleep(min(POLL_S, standing.lease_left_s))

    def _was_told(self, of: str) -> bool:
        """Whether a human has said what became of an act whose lease still holds."""
        try:
            return self._write.told(of) is not None
        except NotDone:
            return True

    async def _carry_out(self, doubt: _Doubt | None) -> Written | None:
        """Act, unless it turns out that it was done. None: the claim was lost to someone else."""
        while True:
            if doubt is not None:
                try:
                    known = await self._find_out(doubt)
                except NotDone as found:
                    if self._acts >= ACTS:
                        known_now = isinstance(doubt.error, WriteInDoubt)
                        await self._give_back(found if known_now else doubt.error)
                        return None
                    doubt = None
                else:
                    if known is not None:
                        return await self._finish(Written(known, replayed=True))
                if not self._write.abandoned() and not await self._hold(to_act=True):
                    return None
            if (hindrance := self._hindrance()) is not None:
                await (self._give_back(hindrance) if doubt is None else self._ask(doubt))
                return None
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
                    await self._give_back(error)
                    return None
                if isinstance(error, Interrupt):
                    raise
                doubt = _Doubt(self._owner, error)
            else:
                return await self._finish(Written(result, replayed=False))

    def _hindrance(self) -> NotBegun | None:
        """Why the act must not begin now: its first step may send it, before any timeout."""
        if self._write.abandoned():
            return self._not_begun("its run has ended")
        if self._clock() >= self._act_by:
            return self._not_begun("the process stood still once it had claimed the write")
        return None

    def _not_begun(self, why: str) -> NotBegun:
        return NotBegun(f"tool {self._write.claim.tool} was not called, and nothing sent: {why}")

    async def _find_out(self, doubt: _Doubt) -> str | None:
        """The result as upstream or a human knows it; None: nobody knows, but acting is harmless,
        or the claim was lost.

        :raises NotDone: when they know that it was not done.
        """
        try:
            if (told := self._write.told(doubt.of)) is not None:
                return told
        except NotDone:
            self._acts = 0  # they know what became of each
            raise
        if self._write.resolve is not None:
            if not await self._hold():
                return None
            try:
                async with asyncio.timeout(self._write.timeout_s):
                    return await self._write.resolve()
            except NotDone:
                raise
            except Exception as error:  # noqa: BLE001 - then upstream cannot tell
                note_error("resolve failed", error)
        if not self._write.keyed or self._acts >= ACTS or self._write.abandoned():
            await self._ask(doubt)
        return None

    async def _ask(self, doubt: _Doubt) -> None:
        """Ask a human, and let others have the claim at once; unless it was lost.

        It names the act in doubt: as long as nobody acts again it is one doubt, and one question,
        whoever asks and however often.
        """
        if await self._take_over(self._owner, doubt.of + ASKED, 0, at_once=True):
            raise self._write.question(doubt.of, doubt.error)

    async def _give_back(self, error: BaseException) -> None:
        """Forget the claim of a write that was not done, for this reason; unless it was lost."""
        if await self._claims.release(self._key, self._owner):
            raise error

    async def _take(self, standing: Standing, *, at_once: bool = False) -> bool:
        """Take over what somebody else has claimed."""
        self._acts = standing.acts
        return await self._take_over(standing.owner, self._owner, self._lease_s, at_once=at_once)

    async def _hold(self, *, to_act: bool = False) -> bool:
        """Have the claim for another act or question to upstream. Each act has an owner of its own:
        what a human is asked, and says, is about one of them."""
        former = self._owner
        if to_act:
            self._owner, self._acts = uuid.uuid4().hex, self._acts + 1
        self._act_by = self._clock() + self._write.timeout_s
        return await self._take_over(former, self._owner, self._lease_s, at_once=True)

    async def _take_over(self, former: str, owner: str, lease_s: float, *, at_once: bool) -> bool:
        return await self._claims.take_over(
            self._key, former, owner, lease_s, acts=self._acts, at_once=at_once
        )

    async def _finish(self, written: Written) -> Written | None:
        try:
            async with asyncio.timeout(FINISH_S):
                ours = await self._claims.finish(self._key, self._owner, written.result)
        except Exception as error:  # noqa: BLE001 - as an error, the model would do it again
            note_error("finish failed", error)
            return written
        return written if ours else None


def _act_of(standing: Standing) -> str:
    return standing.owner.removesuffix(ASKED)


def was_refused(error: BaseException) -> bool:
    """Whether an error of a write says that upstream heard of it, did nothing and will not."""
    if isinstance(error, httpx.HTTPStatusError):
        status = error.response.status_code
        return 400 <= status < 500 and status not in _UNCLEAR_STATUSES
    return isinstance(error, NotDone)


def was_not_sent(error: BaseException) -> bool:
    """Whether an error of a write says that upstream never heard of it."""
    return isinstance(error, _NOT_SENT)
