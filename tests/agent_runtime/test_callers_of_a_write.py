"""Several who ask for one write, some of whom stand still or have left: what they do together."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from agent_runtime import writes
from agent_runtime.claims import Claim, Standing
from agent_runtime.errors import NotBegun, NotDone
from agent_runtime.interrupts import Interrupt
from agent_runtime.store import open_store
from agent_runtime.store.claims import StoredClaims
from agent_runtime.writes import ACTS, PATIENCE_LEASES, Write, Writer, Written

CLAIM = Claim("k1", "cents=500", "acme", "t1", "charge")
TIMEOUT_S = 0.3
LEASE_S = 0.5


@pytest.fixture(autouse=True)
def leases(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short ones."""
    monkeypatch.setattr(writes, "FINISH_S", LEASE_S - TIMEOUT_S)


class Stopping(StoredClaims):
    """Claims of a process that stands still behind each for a time: SIGSTOP, a machine's pause."""

    stops_s = 0.0

    async def claim(self, claim: Claim, owner: str, lease_s: float) -> Standing | None:
        standing = await super().claim(claim, owner, lease_s)
        await asyncio.sleep(self.stops_s)
        return standing


@dataclass
class Desk:
    """Charges, and writes down at its first step who began to."""

    claims: Stopping
    hangs: bool = False
    known: Callable[[], str] | None = None
    """What upstream answers to a question; it never does when not given."""
    keyed: bool = True
    begun: list[str] = field(default_factory=list)
    abandoned: bool = False
    told: dict[str, str | None] = field(default_factory=dict)
    """What humans said about an act; None for not done."""

    async def charge(self, who: str, claims: StoredClaims | None = None) -> Written:
        async def act(until: float) -> str:
            async with asyncio.timeout_at(until):
                self.begun.append(who)
                if self.hangs:
                    await asyncio.sleep(60)
                return f"charged by {who}"

        async def resolve() -> str:
            if self.known is None:
                await asyncio.sleep(60)
                raise AssertionError
            return self.known()

        def told(of: str) -> str | None:
            if of in self.told and self.told[of] is None:
                raise NotDone
            return self.told.get(of)

        write = Write(
            CLAIM,
            timeout_s=TIMEOUT_S,
            keyed=self.keyed,
            act=act,
            resolve=resolve,
            question=lambda of, doubt: Interrupt(of, str(doubt)),
            told=told,
            abandoned=lambda: self.abandoned,
        )
        return await Writer(claims or self.claims, write).perform()


@asynccontextmanager
async def desk(dsn: str) -> AsyncIterator[Desk]:
    store = open_store(dsn)
    try:
        yield Desk(Stopping(store, 86_400))
    finally:
        await store.close()


def nothing_done() -> str:
    raise NotDone("no such charge")


def test_two_who_ask_upstream_that_hangs_act_no_more_than_one(dsn: str) -> None:
    """They do not take the write from each other while one asks what became of it, but end with
    a question to a human, in a time that is known; and nobody acts behind that."""

    async def run() -> None:
        async with desk(dsn) as till:
            till.hangs = True
            async with asyncio.timeout(3 * PATIENCE_LEASES * LEASE_S):
                ended = await asyncio.gather(
                    till.charge("a"), till.charge("b"), return_exceptions=True
                )
            assert [type(each) for each in ended] == [Interrupt, Interrupt]
            assert len(till.begun) == ACTS
            with pytest.raises(Interrupt):
                await till.charge("c")
            assert len(till.begun) == ACTS

    asyncio.run(run())


def test_what_others_began_counts(dsn: str) -> None:
    """Who finds a write that was sent, and sent again, does not send it once more."""

    async def run() -> None:
        async with desk(dsn) as till:
            assert await till.claims.claim(CLAIM, "first", 0.01) is None
            await asyncio.sleep(0.05)
            assert await till.claims.take_over("k1", "first", "second", 0, acts=ACTS)
            with pytest.raises(Interrupt):
                await till.charge("a")
            assert till.begun == []
            till.known = nothing_done  # nor when it is known: the model decides
            with pytest.raises(NotDone, match="no such charge"):
                await till.charge("a")
            assert (await till.charge("a")).result == "charged by a"

    asyncio.run(run())


def test_who_stood_still_before_the_act_does_not_act(dsn: str) -> None:
    """Not even its first step is taken, which may send it. It gets the result of whoever took the
    write over; where nobody did, it is told that nothing was sent, and the claim is given back."""

    async def run() -> None:
        async with desk(dsn) as till:
            till.known = nothing_done
            till.claims.stops_s = 2 * LEASE_S
            still = asyncio.create_task(till.charge("a"))
            await asyncio.sleep(1.2 * LEASE_S)
            other = await till.charge("b", StoredClaims(till.claims._store, 86_400))
            assert await still == Written(other.result, replayed=True)
            assert till.begun == ["b"]

    async def alone() -> None:
        async with desk(dsn) as till:
            await till.claims._store.execute("prune_claims", older_than_s=-60.0)
            till.claims.stops_s = LEASE_S
            with pytest.raises(NotBegun, match=r"charge was not called, .* stood still"):
                await till.charge("a")
            assert till.begun == []
            till.claims.stops_s = 0
            assert not (await till.charge("a")).replayed

    asyncio.run(run())
    asyncio.run(alone())


def test_who_stood_still_before_a_repetition_asks_a_human(dsn: str) -> None:
    """What was sent before may have been done."""

    async def run() -> None:
        async with desk(dsn) as till:
            till.hangs, take_over = True, till.claims.take_over

            async def stops(key: str, former: str, owner: str, *more: float, **rest: int) -> bool:
                taken = await take_over(key, former, owner, *more, **rest)  # type: ignore[arg-type]
                if former != owner and more != (0,):
                    await asyncio.sleep(LEASE_S)
                return taken

            till.claims.take_over = stops  # type: ignore[method-assign, assignment]
            with pytest.raises(Interrupt):
                await till.charge("a")
            assert till.begun == ["a"]

    asyncio.run(run())


def test_nothing_is_sent_for_a_run_that_has_ended(dsn: str) -> None:
    """What is under way is finished; but it is not sent again, nor sent by those who waited."""

    async def run() -> None:
        async with desk(dsn) as till:
            till.hangs = True
            first = asyncio.create_task(till.charge("a"))
            await asyncio.sleep(TIMEOUT_S / 2)
            waits = asyncio.create_task(till.charge("b"))
            await asyncio.sleep(TIMEOUT_S / 4)
            till.abandoned = True
            with pytest.raises(NotBegun, match="its run has ended"):
                await waits
            with pytest.raises(Interrupt):
                await first
            assert till.begun == ["a"]
            till.abandoned, till.hangs = False, False
            assert (await till.charge("c")).result == "charged by c"  # whoever goes on, does

    asyncio.run(run())


def test_nothing_is_begun_for_a_run_that_has_ended(dsn: str) -> None:
    """The claim is given back."""

    async def run() -> None:
        async with desk(dsn) as till:
            till.abandoned = True
            with pytest.raises(NotBegun, match="its run has ended"):
                await till.charge("a")
            assert (till.begun, await till.claims.find("k1")) == ([], None)

    asyncio.run(run())


def test_the_answer_to_who_is_still_at_it_counts(dsn: str) -> None:
    """That it was done is the result at once, whose ever the claim is."""

    async def run() -> None:
        async with desk(dsn) as till:
            assert await till.claims.claim(CLAIM, "busy", 3600) is None
            with pytest.raises(Interrupt) as asked:
                await till.charge("a")
            assert asked.value.payload == "others are still at it"
            with pytest.raises(Interrupt) as again:
                await till.charge("a")
            assert again.value.key == asked.value.key  # it is one question
            till.told = {asked.value.key: "charged, says the bank"}
            began = time.monotonic()
            assert await till.charge("a") == Written("charged, says the bank", replayed=True)
            assert time.monotonic() - began < LEASE_S
            assert not await till.claims.finish("k1", "busy", "and now")
            assert till.begun == []

    asyncio.run(run())


def test_what_is_not_done_by_who_is_still_at_it_is_done(dsn: str) -> None:
    """However long its lease holds; its owner does not go on."""

    async def run() -> None:
        async with desk(dsn) as till:
            assert await till.claims.claim(CLAIM, "busy", 3600) is None
            till.told = {"busy": None}
            assert await till.charge("a") == Written("charged by a", replayed=False)
            assert not await till.claims.take_over("k1", "busy", "busy", 1, acts=1)
            assert till.begun == ["a"]

    asyncio.run(run())


def test_nobody_is_asked_about_an_act_that_may_not_be_over(dsn: str) -> None:
    """What they find would be wrong a moment later, and is about no act behind it."""

    async def run() -> None:
        async with desk(dsn) as till:
            assert await till.claims.claim(CLAIM, "first", 3600) is None
            waits = asyncio.create_task(till.charge("a"))
            await asyncio.sleep((PATIENCE_LEASES - 0.2) * LEASE_S)
            assert await till.claims.take_over("k1", "first", "second", 3600, acts=2, at_once=True)
            acts_until = time.monotonic() + TIMEOUT_S
            with pytest.raises(Interrupt) as asked:
                await waits
            assert time.monotonic() > acts_until
            assert asked.value.key == "second"

    asyncio.run(run())


def test_a_claim_that_is_let_go_of_is_anybodys_by_any_clock(dsn: str) -> None:
    """One in doubt is taken over at once, also when the store's clock was set back."""

    async def run() -> None:
        async with desk(dsn) as till:
            assert await till.claims.claim(CLAIM, "one", 60) is None
            assert await till.claims.take_over("k1", "one", "one", 0, acts=1)
            standing = await till.claims.find("k1")
            assert standing is not None
            assert standing.lease_left_s < -time.time() / 2

    asyncio.run(run())
