"""Which model of the public price list a name stands for, however vendors and libraries write it.

genai-prices matches the names; here is what it cannot know of who told them.
"""

import re

from genai_prices.data_snapshot import DataSnapshot
from genai_prices.types import ModelInfo, Provider

# Providers by OpenTelemetry's name (registry of gen_ai.provider.name) where genai-prices knows them
# by another and does not match it itself; and one by LiteLLM's.
SELLERS = {
    "x_ai": "x-ai",
    "azure.ai.inference": "azure",
    "gcp.gen_ai": "google",
    "fireworks_ai": "fireworks",
}

MAKERS = (
    *("amazon", "anthropic", "meta", "mistral", "cohere", "ai21", "deepseek", "openai", "qwen"),
    "writer",
)
OF_BEDROCK = re.compile(
    r"arn:aws[\w-]*:bedrock:"
    r"|((us|us-gov|eu|apac|jp|au|ca|global)\.)?"
    rf"({'|'.join(MAKERS)})\.[a-z]"
)
"""Model ids that only Bedrock has, of frameworks that name themselves instead of the provider, and
of Anthropic's SDK, whose client for Bedrock is told of as Anthropic's."""
OF_GOOGLE = "models/gemini-"
"""How Google's APIs name a model, which the list does without the `models/`."""
OF_ANYBODY = {"custom_openai", "openai_like", "openai_compatible", "openai-compatible"}
"""Names of a server that speaks OpenAI's protocol, which the list takes for OpenAI: LiteLLM's, and
those of others."""
OF_OPENAI = "text-embedding-"
"""Whose embeddings the list knows only by the provider, unlike its other models."""


def find(public: DataSnapshot, provider: str, model: str) -> tuple[Provider, ModelInfo] | None:
    """Who sells the model, and the model as the list has it; None where that is not known."""
    seller = SELLERS.get(provider.lower(), provider) or None
    if model.startswith(OF_GOOGLE):
        model = model.removeprefix("models/")
    if model.partition("/")[0] in OF_ANYBODY or seller in OF_ANYBODY:
        return None
    if seller in {None, "anthropic"} and OF_BEDROCK.match(model):
        seller = "aws"
    if seller in {None, "litellm"} and model.startswith(OF_OPENAI):
        seller = "openai"
    try:
        return public.find_provider_model(model, None, seller, None)
    except LookupError:
        # LiteLLM's names begin with the provider, whom perhaps nothing else tells, or tells by
        # the list's name only: openai/gpt-4o-mini, gemini/gemini-2.5-pro.
        before, _, name = model.partition("/")
        if name:
            sold = seller is None or before in {seller, provider} or _same(public, before, seller)
            return find(public, before, name) if sold else None
        if provider.lower() != "aws.bedrock" or OF_BEDROCK.match(model):
            return None
        # OpenLLMetry leaves out who made a model of Bedrock.
        found = (find(public, provider, f"{maker}.{model}") for maker in MAKERS)
        return next(filter(None, found), None)


def _same(public: DataSnapshot, *names: str) -> bool:
    """Whether the list knows one seller by all of these names."""
    try:
        sellers = [
            public.find_provider(None, SELLERS.get(name.lower(), name), None) for name in names
        ]
    except LookupError:
        return False
    return all(seller is sellers[0] for seller in sellers)
