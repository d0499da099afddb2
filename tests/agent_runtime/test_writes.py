"""One write: at most one effect per key, whatever fails; on each store, against a real service."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from agent_runtime import writes
from agent_runtime.claims import Claim
from agent_runtime.errors import NotDone, WriteConflict
from agent_runtime.interrupts import Interrupt
from agent_runtime.store import open_store
from agent_runtime.store.claims import StoredClaims
from agent_runtime.writes import Write, Writer, Written

from .payments import Payments, payments

DAY_S = 86_400.0


Told = Callable[[str], str | None]


@pytest.fixture
def service() -> Iterator[Payments]:
    """Upstream that takes requests with one key for one."""
    with payments() as service:
        yield service


@pytest.fixture
def plain() -> Iterator[Payments]:
    """Upstream that charges as often as it is told to."""
    with payments(keyed=False) as service:
        yield service


@dataclass
class Till:
    """Charges a service."""

    service: Payments
    http: httpx.AsyncClient
    claims: StoredClaims

    async def charge(
        self,
        key: str = "k1",
        cents: int = 500,
        *,
        resolve: bool = False,
        timeout_s: float = 0.5,
        told: Told | None = None,
    ) -> Written:
        async def act(until: float) -> str:
            async with asyncio.timeout_at(until):
                answer = await self.http.post(
                    f"{self.service.url}/charges",
                    json={"cents": cents},
                    headers={"idempotency-key": key},
                )
            return answer.raise_for_status().text

        async def find() -> str:
            answer = await self.http.get(f"{self.service.url}/charges/{key}")
            if answer.status_code == 404:
                raise NotDone("no such charge")
            return answer.raise_for_status().text

        def question(number: str, doubt: Exception) -> Interrupt:
            return Interrupt(number, type(doubt).__name__)

        claim = Claim(key, f"cents={cents}", "acme", "t1", "charge")
        write = Write(
            claim, timeout_s, self.service.keyed, act, find if resolve else None, question,
            told or (lambda _: None), lambda: False,
        )  # fmt: skip
        return await Writer(self.claims, write).perform()


@asynccontextmanager
async def till(dsn: str, service: Payments, keep_s: float = DAY_S) -> AsyncIterator[Till]:
    store = open_store(dsn)
    try:
        async with httpx.AsyncClient() as http:
            yield Till(service, http, StoredClaims(store, keep_s))
    finally:
        await store.close()


def at(dsn: str, service: Payments, work: Callable[[Till], Awaitable[None]]) -> None:
    """Do some work with a till."""

    async def run() -> None:
        async with till(dsn, service) as counter:
            await work(counter)

    asyncio.run(run())


def test_what_was_done_is_not_done_again(dsn: str, plain: Payments) -> None:
    """A second call with the same key gets the first one's result; another key is another write."""

    async def work(till: Till) -> None:
        first = await till.charge()
        again = await till.charge()
        other = await till.charge("k2")
        assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
        assert again.result == first.result != other.result

    at(dsn, plain, work)
    assert plain.requests == ["k1", "k2"]


def test_the_same_key_with_other_arguments_is_an_error(dsn: str, plain: Payments) -> None:
    """Nothing is charged, and the message says what to do."""

    async def work(till: Till) -> None:
        await till.charge(cents=500)
        with pytest.raises(WriteConflict, match=r"tool charge: .* k1 .* with other arguments"):
            await till.charge(cents=900)

    at(dsn, plain, work)
    assert plain.effects == [("k1", {"cents": 500})]


def test_duplicates_at_the_same_time_have_one_effect(dsn: str, plain: Payments) -> None:
    """Of 64 calls one acts; the others wait for its result."""

    async def work(till: Till) -> None:
        written = await asyncio.gather(*(till.charge(timeout_s=10) for _ in range(64)))
        assert len({each.result for each in written}) == 1
        assert sum(not each.replayed for each in written) == 1

    at(dsn, plain, work)
    assert plain.requests == ["k1"]


@pytest.mark.parametrize("fault", ["lose the reply", "answer too late", "fail first"])
def test_an_unknown_outcome_is_repeated_under_the_same_key(
    dsn: str, service: Payments, fault: str
) -> None:
    """Upstream that takes both requests for one answers the second; money moves once."""
    service.faults = [fault]

    async def work(till: Till) -> None:
        written = await till.charge()
        assert json.loads(written.result) == {"charge": 0, "cents": 500}

    at(dsn, service, work)
    assert (service.requests, service.keys) == (["k1", "k1"], ["k1"])


def test_a_conflict_says_nothing_about_the_write(dsn: str, plain: Payments) -> None:
    """A status of 409 may mean that the same request is being carried out: a human is asked."""
    plain.faults = ["still at it"]

    async def work(till: Till) -> None:
        with pytest.raises(Interrupt) as asked:
            await till.charge()
        assert asked.value.payload == "HTTPStatusError"

    at(dsn, plain, work)
    assert (plain.requests, plain.keys) == (["k1"], ["k1"])


@pytest.mark.parametrize("fault", ["lose the reply", "answer too late"])
def test_upstream_is_asked_what_became_of_a_write(dsn: str, plain: Payments, fault: str) -> None:
    """It was done: its result is the write's, and it is not sent again."""
    plain.faults = [fault]

    async def work(till: Till) -> None:
        written = await till.charge(resolve=True)
        assert json.loads(written.result) == {"charge": 0, "cents": 500}
        assert written.replayed
        assert (await till.charge()).replayed

    at(dsn, plain, work)
    assert plain.requests == ["k1"]


def test_what_upstream_did_not_do_is_done_once_more(dsn: str, plain: Payments) -> None:
    """A second failure is the call's error; the claim is given back."""
    plain.faults = ["fail first"] * 3

    async def work(till: Till) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="500"):
            await till.charge(resolve=True)
        assert len(plain.requests) == 2
        assert not (await till.charge(resolve=True)).replayed

    at(dsn, plain, work)
    assert (len(plain.requests), plain.keys) == (4, ["k1"])


def test_a_human_is_asked_when_nobody_else_knows(dsn: str, plain: Payments) -> None:
    """Their word is the write's result, at once, and nothing is sent again."""
    plain.faults = ["lose the reply"]

    async def work(till: Till) -> None:
        for _ in range(2):
            with pytest.raises(Interrupt) as asked:
                await till.charge(timeout_s=30)
        assert asked.value.payload == "WriteInDoubt"
        answers = {asked.value.key: "charged, says the bank"}
        written = await till.charge(timeout_s=30, told=answers.get)
        assert written == Written("charged, says the bank", replayed=True)
        assert await till.charge() == written

    at(dsn, plain, work)
    assert plain.requests == ["k1"]


def test_nobody_acts_under_a_doubt_that_a_human_is_asked_about(dsn: str, plain: Payments) -> None:
    """A call that was stopped for long cannot go on as its owner, or note a result: the answer
    would be about what it did before. It is one question all the same, whoever asks."""
    plain.faults = ["lose the reply"]

    async def work(till: Till) -> None:
        asked = []
        for _ in range(3):
            with pytest.raises(Interrupt) as interrupt:
                await till.charge()
            asked.append(interrupt.value.key)
            stopped = asked[0]
            assert not await till.claims.take_over("k1", stopped, stopped, 60, acts=1)
            assert not await till.claims.finish("k1", stopped, "done")
        assert len(set(asked)) == 1

    at(dsn, plain, work)
    assert plain.requests == ["k1"]


def test_what_a_human_found_not_done_is_done(dsn: str, plain: Payments) -> None:
    """It is sent under the same key. Their word is not taken for the doubt that comes after."""
    plain.faults = ["fail first", "lose the reply"]

    async def work(till: Till) -> None:
        with pytest.raises(Interrupt) as first:
            await till.charge()

        def not_done(question: str) -> str | None:
            if question == first.value.key:
                raise NotDone
            return None

        for _ in range(2):
            with pytest.raises(Interrupt) as second:
                await till.charge(told=not_done)
            assert second.value.key != first.value.key

    at(dsn, plain, work)
    assert (plain.requests, plain.keys) == (["k1", "k1"], ["k1"])


def test_a_definite_failure_gives_the_claim_back(dsn: str, plain: Payments) -> None:
    """What was refused, or never sent, is an error; the same write can be tried again."""
    plain.faults = ["refuse"]

    async def work(till: Till) -> None:
        with pytest.raises(httpx.HTTPStatusError, match="402"):
            await till.charge()
        url, plain.url = plain.url, "http://127.0.0.1:1"
        with pytest.raises(httpx.ConnectError):
            await till.charge()
        plain.url = url
        assert not (await till.charge()).replayed

    at(dsn, plain, work)
    assert plain.keys == ["k1"]


def test_a_repetition_that_was_not_sent_proves_nothing(dsn: str, service: Payments) -> None:
    """The first request may have been carried out, so a human is asked."""
    service.faults = ["lose the reply"]

    async def work(till: Till) -> None:
        send = till.http.post

        async def unplugged(*request: object, **more: object) -> httpx.Response:
            if service.requests:
                raise httpx.ConnectError("unplugged")
            return await send(*request, **more)  # type: ignore[arg-type] # whatever it takes

        till.http.post = unplugged  # type: ignore[method-assign]
        with pytest.raises(Interrupt):
            await till.charge()

    at(dsn, service, work)
    assert service.keys == ["k1"]


def test_a_repetition_that_was_refused_proves_nothing(dsn: str, service: Payments) -> None:
    """A rate limit in front of a service that had charged already: a human is asked."""
    service.faults = ["lose the reply", "refuse"]

    async def work(till: Till) -> None:
        with pytest.raises(Interrupt):
            await till.charge()

    at(dsn, service, work)
    assert (service.requests, service.keys) == (["k1", "k1"], ["k1"])


def test_losers_wait_no_longer_than_a_lease(
    dsn: str, service: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When whoever claimed a write is gone, one of those who wait takes it over."""
    monkeypatch.setattr(writes, "FINISH_S", 0.2)

    async def work(till: Till) -> None:
        claim = Claim("k1", "cents=500", "acme", "t1", "charge")
        assert await till.claims.claim(claim, "gone", 0.4) is None
        written = await asyncio.gather(*(till.charge() for _ in range(8)))
        assert sum(not each.replayed for each in written) == 1

    at(dsn, service, work)
    assert service.requests == ["k1"]


def test_losers_ask_a_human_when_the_claim_stays_somebody_elses(
    dsn: str, service: Payments, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They wait for a bounded time, also where others prolong the claim for ever; none acts."""
    monkeypatch.setattr(writes, "FINISH_S", 0.1)

    async def work(till: Till) -> None:
        claim = Claim("k1", "cents=500", "acme", "t1", "charge")
        assert await till.claims.claim(claim, "busy", 60) is None
        async with asyncio.timeout(20):
            with pytest.raises(Interrupt) as asked:
                await till.charge(timeout_s=0.1)
        assert asked.value.payload == "WriteInDoubt"

    at(dsn, service, work)
    assert service.requests == []


def test_a_call_that_lost_its_claim_does_not_overwrite(dsn: str, service: Payments) -> None:
    """It gets the result of whoever took the claim over while it was stopped."""

    async def work(till: Till) -> None:
        finish, take_over = till.claims.finish, till.claims.take_over

        async def stopped(key: str, owner: str, result: str) -> bool:
            till.claims.finish = finish  # type: ignore[method-assign]
            assert await take_over(key, owner, owner, 0, acts=1)  # its lease runs out
            assert await take_over(key, owner, "two", 1, acts=1)
            assert await finish(key, "two", "done by two")
            return await finish(key, owner, result)

        till.claims.finish = stopped  # type: ignore[method-assign]
        assert await till.charge() == Written("done by two", replayed=True)

    at(dsn, service, work)
    assert service.keys == ["k1"]


def test_finished_claims_are_forgotten_in_time(dsn: str, plain: Payments) -> None:
    """Those in doubt are kept: nobody has said yet what became of them."""

    async def work(till: Till) -> None:
        await till.charge("k1")
        plain.faults = ["lose the reply"]
        with pytest.raises(Interrupt):
            await till.charge("k2")
        await asyncio.sleep(0.05)
        assert await till.claims.prune(DAY_S) == 0
        assert await till.claims.prune(0.02) == 1
        assert not (await till.charge("k1")).replayed
        with pytest.raises(Interrupt):
            await till.charge("k2")

    at(dsn, plain, work)
    assert plain.keys == ["k1", "k2", "k1"]
