"""One evaluation at a time per question."""

import asyncio

import pytest

from dashboards.single_flight import SingleFlight


class Source:
    """Counts how often it was asked; answers when told to."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.go = asyncio.Event()

    async def load(self, question: str) -> str:
        self.asked.append(question)
        await self.go.wait()
        if question == "broken":
            raise OSError("no disk")
        return f"{question} {len(self.asked)}"


def test_those_who_ask_together_share_one_evaluation() -> None:
    """Ten viewers of the same page cost one evaluation, another tenant its own."""

    async def scenario() -> None:
        source = Source()
        flights = SingleFlight(source.load, keep_s=60)
        waiting = [asyncio.create_task(flights.get("a")) for _ in range(10)]
        waiting.append(asyncio.create_task(flights.get("b")))
        await asyncio.sleep(0)
        source.go.set()
        answers = await asyncio.gather(*waiting)
        assert source.asked == ["a", "b"]
        assert len(set(answers[:10])) == 1

    asyncio.run(scenario())


def test_an_answer_is_kept_for_a_while_only() -> None:
    """Within the time an answer is reused, after it the question is asked anew."""

    async def scenario() -> None:
        source = Source()
        source.go.set()
        flights = SingleFlight(source.load, keep_s=0.05)
        assert await flights.get("a") == await flights.get("a")
        await asyncio.sleep(0.1)
        await flights.get("a")
        assert source.asked == ["a", "a"]

    asyncio.run(scenario())


def test_a_failure_reaches_all_who_wait_and_is_not_kept() -> None:
    """When the disk is back, the next viewer sees numbers at once."""

    async def scenario() -> None:
        source = Source()
        flights = SingleFlight(source.load, keep_s=60)
        waiting = [asyncio.create_task(flights.get("broken")) for _ in range(2)]
        await asyncio.sleep(0)
        source.go.set()
        failures = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(failure) for failure in failures] == ["no disk", "no disk"]
        with pytest.raises(OSError, match="no disk"):
            await flights.get("broken")
        assert source.asked == ["broken", "broken"]

    asyncio.run(scenario())


def test_a_viewer_who_leaves_does_not_end_it_for_the_others() -> None:
    """A closed tab cancels its own wait, not the evaluation."""

    async def scenario() -> None:
        source = Source()
        flights = SingleFlight(source.load, keep_s=60)
        leaving = asyncio.create_task(flights.get("a"))
        staying = asyncio.create_task(flights.get("a"))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.sleep(0)
        source.go.set()
        assert await staying == "a 1"
        assert leaving.cancelled()

    asyncio.run(scenario())
