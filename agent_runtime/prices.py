"""What a call of a model costs, as far as the user says: there are no prices in here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from agent_runtime.messages import Usage

MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. What is not given costs as much as the whole it is a part of."""

    input: Decimal | float | str
    output: Decimal | float | str
    cached: Decimal | float | str | None = None
    """Input read from the provider's cache."""
    cache_write: Decimal | float | str | None = None

    def of(self, usage: Usage) -> Decimal:
        """USD that a call costs."""
        cached, written = usage.cached_tokens or 0, usage.cache_write_tokens or 0
        parts = (
            (usage.input_tokens - cached - written, self.input),
            (cached, self.input if self.cached is None else self.cached),
            (written, self.input if self.cache_write is None else self.cache_write),
            (usage.output_tokens, self.output),
        )
        return sum((tokens * Decimal(str(usd)) for tokens, usd in parts), Decimal(0)) / MILLION


Prices = Mapping[str, Price] | Callable[[str, Usage], Decimal | None]
"""By ``"provider:model"``, or a function of that and the usage; None where it does not know."""


def cost_of(prices: Prices, model: str, usage: Usage) -> Decimal | None:
    """USD that a call of ``model`` costs; None when there is no price for it."""
    if callable(prices):
        return prices(model, usage)
    return prices[model].of(usage) if model in prices else None


def public_prices(model: str, usage: Usage) -> Decimal | None:
    """`Prices` as vendors publish them, by the package genai-prices, which must be installed."""
    from genai_prices import Usage as Priced
    from genai_prices import calc_price

    provider, _, name = model.partition(":")
    priced = Priced(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
    )
    try:
        return Decimal(calc_price(priced, model_ref=name, provider_id=provider).total_price)
    except LookupError:
        return None
