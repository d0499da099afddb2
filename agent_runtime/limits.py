"""What one run may spend, and how many runs one tenant may have at once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal

from agent_runtime.errors import BudgetExceeded, TenantBusy
from agent_runtime.messages import Usage
from agent_runtime.prices import Prices, cost_of

TENANT_RETRY_S = 1.0
NO_USAGE = Usage(0, 0)


@dataclass(frozen=True)
class Limits:
    """Limits of a runtime's runs; None stands for none.

    :raises ValueError: when a value cannot work.
    """

    run_timeout_s: float | None = 600.0
    """From the start of a run; it then ends with the reason ``timeout``."""
    runs_per_tenant: int | None = None
    """In flight in this process; one more is refused."""
    run_tokens: int | None = None
    """In and out, over all calls of models in a turn. The call that exceeds a budget is finished,
    the next one is not made: the run ends with the reason ``budget``."""
    run_usd: Decimal | float | None = None
    """As ``run_tokens``, in money; needs ``prices``, and models without one are not called."""
    prices: Prices | None = None

    def __post_init__(self) -> None:
        for name in ("run_timeout_s", "runs_per_tenant", "run_tokens", "run_usd"):
            if (value := getattr(self, name)) is not None and value <= 0:
                raise ValueError(f"{name}={value!r} must be above 0, or None for no limit")
        if self.run_usd is not None and self.prices is None:
            raise ValueError("run_usd needs prices; give a table of Price or public_prices")

    def admit(self, tenant_id: str, running: Iterable[str]) -> None:
        """Let a tenant have one more run, ``running`` being the tenants of those in flight.

        :raises TenantBusy: when they have as many as they may.
        """
        if self.runs_per_tenant is None:
            return
        if sum(tenant == tenant_id for tenant in running) >= self.runs_per_tenant:
            raise TenantBusy(
                f"tenant {tenant_id} has {self.runs_per_tenant} runs in flight, as many as allowed;"
                " try again when one has ended", TENANT_RETRY_S,
            )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Spent:
    """What calls of models took, or may take."""

    tokens: int = 0
    usd: Decimal = Decimal(0)

    def __add__(self, more: "Spent") -> "Spent":
        return Spent(self.tokens + more.tokens, self.usd + more.usd)

    def __sub__(self, less: "Spent") -> "Spent":
        return Spent(self.tokens - less.tokens, self.usd - less.usd)


NOTHING_SPENT = Spent()


class Budget:
    """What a turn has spent of what it may: its run, and those that it goes on with."""

    def __init__(
        self, limits: Limits, before: Spent, note: Callable[[Spent], Awaitable[None]]
    ) -> None:
        self._limits = limits
        self._note = note
        self._reserved = NOTHING_SPENT
        self._settled = asyncio.Event()
        self.spent = before

    @property
    def limited(self) -> bool:
        """Whether there is anything to keep to."""
        return self._limits.run_tokens is not None or self._limits.run_usd is not None

    @property
    def at_most(self) -> Spent:
        """What is spent if the calls under way use all that they may."""
        return self.spent + self._reserved

    @asynccontextmanager
    async def reserved(self, model: str, at_most: Usage) -> AsyncIterator[None]:
        """Around a call that may use so much, which waits while others may use up what is left.

        What is left is not lost to a reservation: a call that is alone may exceed the budget. It is
        noted before: of a process that dies meanwhile nobody else knows that it spent anything.
        """
        wanted = self._cost(model, at_most)
        while self._reserved.tokens and self._exceeded_by(self.at_most + wanted):
            self.check(model)
            self._settled.clear()
            await self._settled.wait()
        self._reserved += wanted
        try:
            await self._note(self.at_most)
            yield
        finally:
            self._reserved -= wanted
            self._settled.set()

    def check(self, model: str) -> None:
        """Ask for one more call. :raises BudgetExceeded: when nothing is left for it."""
        limits, spent = self._limits, self.spent
        if limits.run_tokens is not None and spent.tokens >= limits.run_tokens:
            raise BudgetExceeded(
                f"the turn used {spent.tokens} tokens; run_tokens allows {limits.run_tokens}"
            )
        if limits.run_usd is None or limits.prices is None:
            return
        if spent.usd >= Decimal(str(limits.run_usd)):
            raise BudgetExceeded(f"the turn cost {spent.usd} USD; run_usd allows {limits.run_usd}")
        if cost_of(limits.prices, model, NO_USAGE) is None:
            raise BudgetExceeded(
                f"there is no price for {model!r}, so run_usd={limits.run_usd} cannot be kept;"
                " add it to the prices"
            )

    def spend(self, model: str, usage: Usage) -> None:
        """Note what a call used."""
        self.spent += self._cost(model, usage)

    def _cost(self, model: str, usage: Usage) -> Spent:
        prices = self._limits.prices
        usd = None if prices is None else cost_of(prices, model, usage)
        return Spent(usage.input_tokens + usage.output_tokens, usd or Decimal(0))

    def _exceeded_by(self, spent: Spent) -> bool:
        tokens, usd = self._limits.run_tokens, self._limits.run_usd
        return (tokens is not None and spent.tokens > tokens) or (
            usd is not None and spent.usd > Decimal(str(usd))
        )
