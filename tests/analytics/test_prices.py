"""Cost: dated prices, equal to genai-prices, never zero for unknown."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price
from genai_prices.data_snapshot import get_snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics import Analytics, PriceError, PriceOverride
from tests.analytics.conftest import Opener
from tests.analytics.telemetry import NOON, Telemetry, ms

Ask = Callable[..., list[dict[str, Any]]]


def named(provider: str, model: str) -> bool:
    """Whether the library finds the model by its own id; some it knows by other names only."""
    try:
        get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return False
    return True


MODELS = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    for model in provider.models
    if named(provider.id, model.id)
]
CHANGING = [
    (provider.id, model.id)
    for provider in get_snapshot().providers
    for model in provider.models
    if isinstance(model.prices, list) and (provider.id, model.id) in MODELS
]
TIMES = st.datetimes(datetime(2024, 1, 1), datetime(2027, 6, 1)).map(  # noqa: DTZ001
    lambda time: time.replace(tzinfo=UTC)
)
COUNTS = st.integers(0, 2_000) | st.integers(100_000, 1_500_000)


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    provider, model = draw(st.sampled_from(MODELS) | st.sampled_from(CHANGING))
    read, written, fresh = draw(COUNTS), draw(COUNTS), draw(COUNTS)
    reasoning, spoken = draw(COUNTS), draw(COUNTS)
    return {
        "provider": provider,
        "request_model": model,
        "input_tokens": fresh + read + written,
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "output_tokens": reasoning + spoken,
        "reasoning_tokens": reasoning,
        "at": draw(TIMES),
    }


def billed_by_library(call: dict[str, Any]) -> Decimal:
    return calc_price(
        Usage(
            input_tokens=call["input_tokens"],
            cache_read_tokens=call["cache_read_tokens"],
            cache_write_tokens=call["cache_write_tokens"],
            output_tokens=call["output_tokens"],
            output_reasoning_tokens=call["reasoning_tokens"],
        ),
        call["request_model"],
        provider_id=call["provider"],
        genai_request_timestamp=call["at"],
    ).total_price


@settings(max_examples=15, deadline=None)
@given(batch=st.lists(calls(), min_size=1, max_size=60))
def test_cost_equals_the_library(
    batch: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any model, tier, cache split, day and hour costs what the library says, to 1e-9 USD."""
    telemetry = Telemetry()
    for number, call in enumerate(batch):
        telemetry.llm(**call, tool_call_id=str(number), response_id=f"call-{number}")
    with Analytics(telemetry.lake(tmp_path_factory.mktemp("lake")), threads=1) as analytics:
        answer = analytics.query("SELECT response_id, cost_usd, price_id FROM llm_calls")
    priced = {row["response_id"]: row for row in answer.to_pylist()}
    for number, call in enumerate(batch):
        cost = priced[f"call-{number}"]["cost_usd"]
        if cost is None:
            assert priced[f"call-{number}"]["price_id"] is None
            assert billed_by_library(call) == 0, call
        else:
            assert abs(cost - billed_by_library(call)) < Decimal("1e-9"), call


def test_every_model_of_the_list_is_priced_alike(tmp_path: Path) -> None:
    """One call of each model on the list, today, costs what the library says."""
    telemetry = Telemetry()
    batch = []
    for number, (provider, model) in enumerate(MODELS):
        call = {
            "provider": provider, "request_model": model, "input_tokens": 1234,
            "cache_read_tokens": 200, "cache_write_tokens": 34, "output_tokens": 567,
            "reasoning_tokens": 89, "at": NOON,
        }  # fmt: skip
        telemetry.llm(**call, response_id=f"call-{number}")
        batch.append(call)
    with Analytics(telemetry.lake(tmp_path / "lake"), threads=1) as analytics:
        answer = analytics.query("SELECT response_id, cost_usd FROM llm_calls").to_pylist()
    costs = {row["response_id"]: row["cost_usd"] for row in answer}
    wrong = [
        (call["provider"], call["request_model"], costs[f"call-{number}"], billed_by_library(call))
        for number, call in enumerate(batch)
        if abs((costs[f"call-{number}"] or 0) - billed_by_library(call)) >= Decimal("1e-9")
    ]
    assert wrong == []
    assert sum(cost is not None for cost in costs.values()) > 2000


def test_a_tier_begins_above_its_threshold(telemetry: Telemetry, rows: Ask) -> None:
    """At exactly 200,000 input tokens the lower tier holds; one more and all tokens cost more."""
    sizes = (199_999, 200_000, 200_001)
    for size in sizes:
        telemetry.llm(provider="anthropic", request_model="claude-sonnet-4-5", input_tokens=size,
                      output_tokens=0)  # fmt: skip
    found = rows("SELECT input_tokens, cost_usd FROM llm_calls ORDER BY input_tokens")
    assert [(row["input_tokens"], row["cost_usd"]) for row in found] == [
        (199_999, Decimal("0.599997")),
        (200_000, Decimal("0.6")),
        (200_001, Decimal("1.200006")),
    ]


def test_an_unknown_price_is_not_zero(telemetry: Telemetry, rows: Ask) -> None:
    """A model without a price has no cost, and the run says how many calls that leaves out."""
    agent = telemetry.agent()
    telemetry.llm(under=agent, provider="acme", request_model="our-own-7b")
    telemetry.llm(under=agent, input_tokens=1_000_000, output_tokens=0)
    calls = rows("SELECT cost_usd, price_id FROM llm_calls ORDER BY price_id NULLS FIRST")
    assert calls[0] == {"cost_usd": None, "price_id": None}
    assert calls[1]["price_id"] == "openai/gpt-4o"
    (run,) = rows("SELECT cost_usd, unpriced_calls FROM runs")
    assert run == {"cost_usd": Decimal("2.5"), "unpriced_calls": 1}


def test_the_answering_model_is_priced_first(telemetry: Telemetry, rows: Ask) -> None:
    """What answered is billed, not the alias asked for; unless nobody knows what answered."""
    telemetry.llm(request_model="gpt-4o", response_model="gpt-4o-mini-2024-07-18", at=NOON)
    telemetry.llm(request_model="gpt-4o", response_model="deployment-7", at=NOON + ms(1))
    found = rows("SELECT price_id FROM llm_calls ORDER BY started_at")
    assert [row["price_id"] for row in found] == ["openai/gpt-4o-mini", "openai/gpt-4o"]


def test_of_two_aliases_without_a_price_the_first_stands(telemetry: Telemetry, rows: Ask) -> None:
    """What the other span of the call names is no better, and the cost is unknown."""
    agent = telemetry.agent()
    for alias, at in (("fast", NOON), ("a-deployment", NOON + timedelta(milliseconds=1))):
        telemetry.llm(under=agent, at=at, request_model=alias, response_id="chatcmpl-0123456789")
    assert rows("SELECT provider, request_model, cost_usd FROM llm_calls") == [
        {"provider": "openai", "request_model": "fast", "cost_usd": None}
    ]


@pytest.mark.parametrize(
    ("provider", "model"),
    [("x_ai", "grok-3"), ("gcp.gen_ai", "gemini-2.5-pro"), ("azure.ai.inference", "gpt-4o"),
     ("aws.bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"), (None, "claude-sonnet-4-5"),
     (None, "text-embedding-3-small"), ("litellm", "text-embedding-3-small"),
     (None, "us.anthropic.claude-sonnet-4-20250514-v1:0"), (None, "amazon.nova-lite-v1:0"),
     ("anthropic", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
     ("anthropic", "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"),
     ("aws.bedrock", "nova-lite-v1:0"), ("aws.bedrock", "llama3-1-8b-instruct-v1:0"),
     (None, "arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0")],
)  # fmt: skip
def test_providers_are_known_by_their_opentelemetry_names(
    telemetry: Telemetry, rows: Ask, provider: str | None, model: str
) -> None:
    """The provider names of the semantic conventions find their price lists; none is guessed but
    those whose ids nobody else has, Bedrock and of embeddings OpenAI; Bedrock's are not
    Anthropic's where its SDK calls them."""
    telemetry.llm(provider=provider, request_model=model)
    assert rows("SELECT cost_usd > 0 AS priced FROM llm_calls") == [{"priced": True}]


def test_a_models_name_may_begin_with_its_provider(telemetry: Telemetry, rows: Ask) -> None:
    """LiteLLM's openai/gpt-4o is OpenAI's, also of a framework that names itself as the provider;
    under a server of one's own it is nobody's, nor is what a maker who sells nothing calls it."""
    for provider, model in (
        ("openai", "openai/gpt-4o-mini"), ("ollama", "openai/gpt-4o-mini"),
        (None, "openai/gpt-4o-mini"), (None, "anthropic/claude-sonnet-4-5"),
        (None, "someone/gpt-4o-mini"),
    ):  # fmt: skip
        telemetry.llm(provider=provider, request_model=model)
    found = rows("SELECT price_id FROM llm_calls ORDER BY span_id")
    assert [row["price_id"] for row in found] == [
        "openai/gpt-4o-mini", None, "openai/gpt-4o-mini", "anthropic/claude-sonnet-4-5", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "price_id"),
    [
        ("gcp.gen_ai", "gemini/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("aws.bedrock", "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
         "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("gcp.vertex_ai", "vertex_ai/claude-sonnet-4-5@20250929", "google/claude-sonnet-4-5"),
        ("x_ai", "xai/grok-3", "x-ai/grok-3"),
        ("mistral_ai", "mistral/mistral-large-latest", "mistral/mistral-large"),
        (None, "fireworks_ai/accounts/fireworks/models/gpt-oss-120b", "fireworks/gpt-oss-120b"),
        ("gcp.gemini", "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        (None, "models/gemini-2.5-flash", "google/gemini-2.5-flash"),
        ("openai", "gemini/gemini-2.5-flash", None), ("gcp.gemini", "openai/gpt-4o-mini", None),
        ("openai", "models/gemini-2.5-flash", None), (None, "models/gpt-4o-mini", None),
        ("ollama", "gemini/gemini-2.5-flash", None), ("openai", "custom_openai/gpt-4o", None),
        ("litellm", "openai_like/gpt-4o", None), ("custom_openai", "gpt-4o", None),
    ],
)  # fmt: skip
def test_litellm_names_providers_in_its_own_way(
    telemetry: Telemetry, rows: Ask, provider: str | None, model: str, price_id: str | None
) -> None:
    """The name before the slash and the provider's are of one seller; of two it is nobody's."""
    telemetry.llm(provider=provider, request_model=model)
    [row] = rows("SELECT regexp_replace(price_id, ',.*', '') AS price_id FROM llm_calls")
    assert row == {"price_id": price_id}


def test_ones_own_price_wins_on_its_days(telemetry: Telemetry, opened: Opener) -> None:
    """A contract holds from its first day to before its last, for every name of the model."""
    contract = PriceOverride(
        "openai", "gpt-4o", input=Decimal(1), output=Decimal(0),
        valid_from=date(2026, 11, 20), valid_to=date(2026, 11, 21),
    )  # fmt: skip
    midnight = datetime(2026, 11, 20, tzinfo=UTC)
    for at in (midnight - ms(1), midnight, midnight + timedelta(days=1)):
        telemetry.llm(at=at, response_model="gpt-4o-2024-08-06", input_tokens=1_000_000,
                      output_tokens=0)  # fmt: skip
    answer = opened([contract]).query("SELECT cost_usd FROM llm_calls ORDER BY started_at")
    assert answer["cost_usd"].to_pylist() == [Decimal("2.5"), Decimal(1), Decimal("2.5")]


@pytest.mark.parametrize("provider", ["hosted_vllm", "litellm"])
def test_ones_own_price_holds_for_the_name_that_litellm_has(
    telemetry: Telemetry, opened: Opener, provider: str
) -> None:
    """Which begins with the provider, whoever the span says it is."""
    own = PriceOverride("hosted_vllm", "our-own-7b", input=Decimal(1), output=Decimal(0))
    for name, model in ((provider, "hosted_vllm/our-own-7b"), ("openai", "hosted_vllm/our-own-7b")):
        telemetry.llm(provider=name, request_model=model, input_tokens=1_000_000, output_tokens=0,
                      at=NOON + ms(name == "openai"))  # fmt: skip
    answer = opened([own]).query("SELECT cost_usd FROM llm_calls ORDER BY started_at")
    assert answer["cost_usd"].to_pylist() == [Decimal(1), None]


def test_a_price_for_a_model_nobody_lists(telemetry: Telemetry, opened: Opener) -> None:
    """A self-hosted model has the price its owner gives it, cached tokens as other input."""
    own = PriceOverride("vllm", "our-own-7b", input=Decimal("0.1"), output=Decimal("0.2"),
                        cache_write=Decimal("0.4"))  # fmt: skip
    telemetry.llm(provider="vLLM", request_model="Our-Own-7b", input_tokens=3_000_000,
                  cache_read_tokens=1_000_000, cache_write_tokens=1_000_000,
                  output_tokens=1_000_000)  # fmt: skip
    answer = opened([own]).query("SELECT cost_usd, price_id FROM llm_calls").to_pylist()
    assert answer == [{"cost_usd": Decimal("0.8"), "price_id": "vllm/our-own-7b, override"}]


def test_one_sellers_contract_is_not_anothers(telemetry: Telemetry, opened: Opener) -> None:
    """A price agreed with Azure does not hold at OpenAI, though the list has the model once."""
    azure = PriceOverride("azure", "gpt-4o", input=Decimal(1), output=Decimal(1))
    telemetry.llm(provider="azure", input_tokens=1_000_000, output_tokens=0)
    telemetry.llm(provider="openai", input_tokens=1_000_000, output_tokens=0)
    answer = opened([azure]).query("SELECT provider, cost_usd FROM llm_calls ORDER BY provider")
    assert answer["cost_usd"].to_pylist() == [Decimal(1), Decimal("2.5")]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [({"input": Decimal(-1)}, "input = -1"), ({"output": Decimal("NaN")}, "output = NaN"),
     ({"valid_from": date(2026, 2, 1), "valid_to": date(2026, 2, 1)}, "must be later")],
)  # fmt: skip
def test_an_impossible_price_is_refused(wrong: dict[str, Any], message: str) -> None:
    """The error names the model and the field."""
    with pytest.raises(PriceError, match=f"openai/gpt-4o: .*{message}"):
        PriceOverride("openai", "gpt-4o", **{"input": Decimal(1), "output": Decimal(1)} | wrong)


def test_one_price_at_a_time(opened: Opener) -> None:
    """No two rows of the price list hold for the same call."""
    answer = opened([PriceOverride("openai", "gpt-4o", Decimal(1), Decimal(1))]).query("""
        SELECT one.price_id, other.price_id AS other_id
        FROM prices AS one JOIN prices AS other
            ON one.provider = other.provider AND one.model = other.model
            AND one.price_id < other.price_id
            AND one.valid_from < other.valid_to AND other.valid_from < one.valid_to
            AND one.second_from < other.second_to AND other.second_from < one.second_to
            AND one.input_tokens_above < other.input_tokens_up_to
            AND other.input_tokens_above < one.input_tokens_up_to""")
    assert answer.num_rows == 0
    ids = opened().query("SELECT COUNT(*) - COUNT(DISTINCT price_id) AS repeated FROM prices")
    assert ids.to_pylist() == [{"repeated": 0}]
