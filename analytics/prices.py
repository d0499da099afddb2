"""Dated prices: the public list of genai-prices with the user's own contracts laid over it.

The list becomes one Arrow table that SQL joins (`sql/views/prices.sql` documents it). Model names
are matched by `model_names`, never in SQL, which sees the outcome as the table of `match_models`.

The formulas are those of ``genai_prices.calc_price`` (tiers price all tokens by the whole input;
a token kind without its own price is priced as the kind it is part of); the tests hold the two
equal.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise

import genai_prices
import pyarrow as pa
from genai_prices.data_snapshot import DataSnapshot, get_snapshot
from genai_prices.types import (
    ModelInfo,
    ModelPrice,
    StartDateConstraint,
    TieredPrices,
    TimeOfDateConstraint,
)

from analytics.model_names import find

FIRST_DAY = date(1970, 1, 1)
LAST_DAY = date(9999, 1, 1)
DAY_SECONDS = 86_400
NO_TIER = -1
MOST_TOKENS = 2**63 - 1
PUBLIC = f"genai-prices {genai_prices.__version__}"
OVERRIDE = "override"

USD = pa.decimal128(24, 18)
EXACT = Decimal(1).scaleb(-18)
PRICE_LIST = pa.schema(
    [
        ("price_id", pa.string()),
        ("provider", pa.string()),
        ("model", pa.string()),
        ("valid_from", pa.timestamp("us", tz="UTC")),
        ("valid_to", pa.timestamp("us", tz="UTC")),
        ("second_from", pa.int32()),
        ("second_to", pa.int32()),
        ("input_tokens_above", pa.int64()),
        ("input_tokens_up_to", pa.int64()),
        ("input_usd", USD),
        ("cache_read_usd", USD),
        ("cache_write_usd", USD),
        ("output_usd", USD),
        ("reasoning_usd", USD),
        ("request_usd", USD),
        ("price_source", pa.string()),
    ]
)
PRICE_MATCHES = pa.schema(
    [
        (name, pa.string())
        for name in ("provider", "request_model", "response_model", "price_provider", "price_model")
    ]
)

ModelName = tuple[str, str]
"""(provider, model) as the price list names them."""

NamesUsed = tuple[str, str, str]
"""(provider, request_model, response_model) as the telemetry has them; '' where it has none."""


class PriceError(ValueError):
    """A price override that cannot be meant; the message names it and the remedy."""


@dataclass(frozen=True, slots=True)
class PriceOverride:
    """What the user really pays for a model, in USD per million tokens, over a range of UTC days.

    `valid_to` is the first day it no longer holds; None leaves that side open. It holds for the
    model of that name and, if the public list knows it, for every name the list takes for the same
    model (`gpt-4o` also for `gpt-4o-2024-08-06`). Where several hold, the last given stands. Cached
    tokens cost as much as other input unless their price is given.
    """

    provider: str
    model: str
    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None
    valid_from: date | None = None
    valid_to: date | None = None

    def __post_init__(self) -> None:
        named = f"price of {self.provider}/{self.model}"
        for field in ("input", "output", "cache_read", "cache_write"):
            price = getattr(self, field)
            if price is not None and not (price.is_finite() and 0 <= price < 10**9):
                raise PriceError(f"{named}: {field} = {price} must be USD per million tokens, >= 0")
        if (self.valid_from or FIRST_DAY) >= (self.valid_to or LAST_DAY):
            raise PriceError(
                f"{named}: valid_to {self.valid_to} must be later than valid_from {self.valid_from}"
            )

    def holds_on(self, day: date) -> bool:
        return (self.valid_from or FIRST_DAY) <= day < (self.valid_to or LAST_DAY)

    def as_model_price(self) -> ModelPrice:
        return ModelPrice(
            input_mtok=self.input,
            output_mtok=self.output,
            cache_read_mtok=self.cache_read,
            cache_write_mtok=self.cache_write,
        )


class PriceBook:
    """The public list and the overrides, as the tables that SQL joins."""

    def __init__(self, overrides: Sequence[PriceOverride] = ()) -> None:
        self._public: DataSnapshot = get_snapshot()
        self._models: dict[ModelName, ModelInfo | None] = {
            (provider.id, model.id): model
            for provider in self._public.providers
            for model in provider.models
        }
        self._overrides: dict[ModelName, list[PriceOverride]] = {}
        self._matched: dict[NamesUsed, ModelName | None] = {}
        for override in overrides:
            name, model = self._named_by(override)
            self._models.setdefault(name, model)
            self._overrides.setdefault(name, []).append(override)

    def price_list(self) -> pa.Table:
        """Every dated price, overrides laid over; columns as in `sql/views/prices.sql`."""
        rows = [
            row
            for name, model in self._models.items()
            for row in _rows(name, model, self._overrides.get(name, ()))
        ]
        return pa.Table.from_pylist(rows, schema=PRICE_LIST)

    def match_models(self, names: Iterable[NamesUsed]) -> pa.Table:
        """Which model of the price list each name stands for; names it does not know are absent.

        The model that answered decides, then the one that was asked for.
        """
        rows = []
        for used in names:
            if used not in self._matched:
                self._matched[used] = self._match(*used)
            if (matched := self._matched[used]) is not None:
                rows.append(dict(zip(PRICE_MATCHES.names, (*used, *matched), strict=True)))
        return pa.Table.from_pylist(rows, schema=PRICE_MATCHES)

    def _match(self, provider: str, request_model: str, response_model: str) -> ModelName | None:
        for model in (response_model, request_model):
            if model and (found := self._own(provider, model) or self._listed(provider, model)):
                return found
        return None

    def _own(self, provider: str, model: str) -> ModelName | None:
        """The override of exactly this name, also where it begins with the provider, as LiteLLM's
        do; without a provider, if one override only has it."""
        seller, named = provider.lower(), model.lower()
        if not seller:
            found = [name for name in self._overrides if name[1] == named]
            return found[0] if len(found) == 1 else None
        before, _, rest = named.partition("/")
        names = [(seller, named), *([(before, rest)] if seller in {before, "litellm"} else ())]
        return next((name for name in names if name in self._overrides), None)

    def _listed(self, provider: str, model: str) -> ModelName | None:
        found = find(self._public, provider, model)
        if found is None:
            return None
        seller, info = found
        name = (seller.id, info.id)
        if name in self._overrides or self._models.get(name) is info:
            return name
        # The seller has the model at its maker's price, which is listed under the maker.
        return next(name for name, model in self._models.items() if model is info)

    def _named_by(self, override: PriceOverride) -> tuple[ModelName, ModelInfo | None]:
        found = find(self._public, override.provider, override.model)
        if found is None:
            return (override.provider.lower(), override.model.lower()), None
        seller, info = found
        return (seller.id, info.id), info


def _rows(
    name: ModelName, model: ModelInfo | None, overrides: Sequence[PriceOverride]
) -> Iterator[dict[str, object]]:
    days, seconds = _boundaries(model, overrides)
    for day, next_day in pairwise(days):
        for second, next_second in pairwise(seconds):
            price, source = _price_at(model, overrides, day, second)
            if price is None or (price.input_mtok is None and price.output_mtok is None):
                continue
            for above, up_to in pairwise(_tiers(price)):
                yield {
                    "price_id": _price_id(name, day, second, above, source),
                    "provider": name[0],
                    "model": name[1],
                    "valid_from": _midnight(day),
                    "valid_to": _midnight(next_day),
                    "second_from": second,
                    "second_to": next_second,
                    "input_tokens_above": above,
                    "input_tokens_up_to": up_to,
                    "price_source": source,
                    **_usd(price, above),
                }


def _boundaries(
    model: ModelInfo | None, overrides: Sequence[PriceOverride]
) -> tuple[list[date], list[int]]:
    """The days and the seconds of a day at which the price may change, first and last included."""
    days, seconds = {FIRST_DAY, LAST_DAY}, {0, DAY_SECONDS}
    for override in overrides:
        days |= {override.valid_from or FIRST_DAY, override.valid_to or LAST_DAY}
    terms = model.prices if model is not None and isinstance(model.prices, list) else ()
    for term in terms:
        if isinstance(term.constraint, StartDateConstraint):
            days.add(max(term.constraint.start_date, FIRST_DAY))
        elif isinstance(term.constraint, TimeOfDateConstraint):
            seconds |= {
                _second(term.constraint.start_time),
                _second(term.constraint.end_time) or DAY_SECONDS,
            }
    return sorted(days), sorted(seconds)


def _price_at(
    model: ModelInfo | None, overrides: Sequence[PriceOverride], day: date, second: int
) -> tuple[ModelPrice | None, str]:
    for override in reversed(overrides):
        if override.holds_on(day):
            return override.as_model_price(), OVERRIDE
    if model is None:
        return None, PUBLIC
    return model.get_prices(_midnight(day) + timedelta(seconds=second)), PUBLIC


def _tiers(price: ModelPrice) -> list[int]:
    """Input tokens above which the price changes, from NO_TIER to MOST_TOKENS."""
    starts = {
        tier.start
        for value in vars(price).values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    }
    return [NO_TIER, *sorted(starts), MOST_TOKENS]


def _usd(price: ModelPrice, above: int) -> dict[str, Decimal]:
    """USD per token (and per request) of every kind, where the input exceeds `above` tokens."""

    def of(value: Decimal | TieredPrices | None, fallback: Decimal = Decimal(0)) -> Decimal:
        if isinstance(value, TieredPrices):
            value = [value.base, *(t.price for t in value.tiers if t.start <= above)][-1]
        return fallback if value is None else value

    fresh, written = of(price.input_mtok), of(price.output_mtok)
    per_million = {
        "input_usd": fresh,
        "cache_read_usd": of(price.cache_read_mtok, fresh),
        "cache_write_usd": of(price.cache_write_mtok, fresh),
        "output_usd": written,
        "reasoning_usd": of(price.output_reasoning_mtok, written),
        "request_usd": of(price.requests_kcount) * 1000,
    }
    return {kind: (usd / 10**6).quantize(EXACT) for kind, usd in per_million.items()}


def _price_id(name: ModelName, day: date, second: int, above: int, source: str) -> str:
    parts = [f"{name[0]}/{name[1]}"]
    if day > FIRST_DAY:
        parts.append(f"from {day.isoformat()}")
    if second:
        parts.append(f"from {timedelta(seconds=second)} UTC")
    if above > NO_TIER:
        parts.append(f"above {above} tokens")
    if source == OVERRIDE:
        parts.append(OVERRIDE)
    return ", ".join(parts)


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _second(moment: time) -> int:
    """Seconds after midnight UTC."""
    utc = datetime.combine(FIRST_DAY, moment, moment.tzinfo or UTC).astimezone(UTC)
    return utc.hour * 3600 + utc.minute * 60 + utc.second
