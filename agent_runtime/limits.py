"""What one run may spend, and how many runs one tenant may have at once."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal

from agent_runtime.errors import BudgetExceeded, TenantBusy
from agent_runtime.messages import Usage
from agent_runtime.prices import Prices, cost_of

TENANT_RETRY_S = 1.0
NOTHING = Usage(0, 0)


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
    """In and out, over all calls of models. The call that exceeds a budget is finished, the next
    one is not made: the run ends with the reason ``budget``."""
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


class Budget:
    """What one run has spent of what it may."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tokens = 0
        self._usd = Decimal(0)

    def check(self, model: str) -> None:
        """Ask for one more call. :raises BudgetExceeded: when nothing is left for it."""
        limits = self._limits
        if limits.run_tokens is not None and self._tokens >= limits.run_tokens:
            raise BudgetExceeded(
                f"the run used {self._tokens} tokens; run_tokens allows {limits.run_tokens}"
            )
        if limits.run_usd is None or limits.prices is None:
            return
        if self._usd >= Decimal(str(limits.run_usd)):
            raise BudgetExceeded(f"the run cost {self._usd} USD; run_usd allows {limits.run_usd}")
        if cost_of(limits.prices, model, NOTHING) is None:
            raise BudgetExceeded(
                f"there is no price for {model!r}, so run_usd={limits.run_usd} cannot be kept;"
                " add it to the prices"
            )

    def spend(self, model: str, usage: Usage) -> None:
        """Note what a call used."""
        self._tokens += usage.input_tokens + usage.output_tokens
        if self._limits.prices is not None:
            self._usd += cost_of(self._limits.prices, model, usage) or Decimal(0)
