"""Which model to ask, where it is served, and how patient to be."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

Speaks = Literal["chat", "messages"]
"""OpenAI's chat completions or Anthropic's messages."""


USUAL_ANSWER_TOKENS = 4096


class Vendor(NamedTuple):
    """Where a vendor serves its own models."""

    speaks: Speaks
    url: str
    url_from: str
    """Environment variable that says another URL."""
    key_from: str


VENDORS = {
    "openai": Vendor("chat", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY"),
    "anthropic": Vendor(
        "messages", "https://api.anthropic.com", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"
    ),
}


@dataclass(frozen=True, eq=False)
class Model:
    """A chat model behind an endpoint that speaks as OpenAI's or as Anthropic's does.

    ``name`` is ``"provider:model"``, e.g. ``"openai:gpt-4o-mini"`` or
    ``"anthropic:claude-haiku-4-5"``; without a provider it is ``openai``. Durations are in seconds.

    :raises ValueError: when a value cannot work.
    """

    name: str
    base_url: str | None = None
    """Where ``/chat/completions`` or ``/messages`` is found. When not given, OPENAI_BASE_URL or
    ANTHROPIC_BASE_URL (without ``/v1``, as Anthropic's own clients have it), or where the vendor
    itself is."""
    api_key: str | None = field(default=None, repr=False)
    """When not given, OPENAI_API_KEY for ``openai`` and ANTHROPIC_API_KEY for ``anthropic``."""
    speaks: Speaks | None = None
    """``chat`` unless the provider is ``anthropic``; say it for a gateway that differs."""
    fallback: Sequence["Model | str"] = ()
    """Asked in order when this model fails, also across vendors. A name of the same provider is
    served as this model is, one of another provider by that vendor itself, with its own key and
    without ``parameters``; for anything else give a `Model`. Once a run has fallen back, it stays
    with the fallback."""
    max_attempts: int = 5
    """Calls per model, the first included."""
    retry_budget_s: float = 30.0
    """For all attempts of a call, fallbacks included: each model may use up an equal part of what
    is left."""
    first_token_timeout_s: float = 8.0
    idle_timeout_s: float = 20.0
    """Between two tokens."""
    context_tokens: int = 16_000
    """Budget of a prompt; older messages are left out to stay within it."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """Sent along as they are, e.g. ``{"temperature": 0.2}``; what is None is left out. The user's
    `pseudonym` is sent as ``safety_identifier`` to api.openai.com, as ``metadata`` where messages
    are spoken, and as ``user`` to everybody else, unless it is named here: ``{"user": None}`` is
    for those that refuse it, under either name (``{"metadata": None}`` where messages are
    spoken)."""

    def __post_init__(self) -> None:
        if not self.model:
            raise ValueError(f"model {self.name!r} has no name; write 'openai:gpt-4o-mini'")
        for name in ("max_attempts", "context_tokens", "retry_budget_s", "first_token_timeout_s",
                     "idle_timeout_s"):  # fmt: skip
            if getattr(self, name) <= 0:
                raise ValueError(
                    f"{name}={getattr(self, name)!r} of model {self.name!r} must be above 0"
                )
        if not self.url.startswith(("http://", "https://")):
            raise ValueError(
                f"base_url {self.url!r} of model {self.name!r} must begin with https:// or http://"
            )
        if any(isinstance(each, Model) and each.fallback for each in self.fallback):
            raise ValueError(
                f"a fallback of model {self.name!r} has fallbacks itself; list them all in one"
            )
        self.candidates  # noqa: B018 - what is wrong with a fallback is said now, not in a run

    @property
    def provider(self) -> str:
        """Who serves the model."""
        provider, colon, _ = self.name.partition(":")
        return provider if colon else "openai"

    @property
    def model(self) -> str:
        """The model's name at the provider."""
        before, colon, after = self.name.partition(":")
        return after if colon else before

    @property
    def url(self) -> str:
        """Where the provider listens. :raises ValueError: when it is not known."""
        if self.base_url is not None:
            return self.base_url.rstrip("/")
        if (vendor := VENDORS.get(self.provider)) is None:
            known = " and ".join(VENDORS)
            raise ValueError(
                f"model {self.name!r} needs a base_url: only those of {known} are known"
            )
        url = os.environ.get(vendor.url_from, vendor.url).rstrip("/")
        return url if vendor.speaks == "chat" or url.endswith("/v1") else f"{url}/v1"

    @property
    def host(self) -> str:
        """The name of the server."""
        return urlsplit(self.url).hostname or ""

    @property
    def where(self) -> str:
        """The server and the model there."""
        return f"{self.host} {self.model}"

    @property
    def key(self) -> str | None:
        """The key to sign calls with. :raises ValueError: when it cannot be sent."""
        key = self.api_key
        if key is None and (vendor := VENDORS.get(self.provider)):
            key = os.environ.get(vendor.key_from)
        # A file ends with a line break; other such characters a client would refuse, and quote.
        if key is not None and not ((key := key.strip()).isascii() and key.isprintable()):
            raise ValueError(f"the key of model {self.name!r} holds what no header can")
        return key

    @property
    def protocol(self) -> Speaks:
        """How to speak to the endpoint."""
        vendor = VENDORS.get(self.provider)
        return self.speaks or (vendor.speaks if vendor else "chat")

    @property
    def answer_tokens(self) -> int:
        """How long an answer may be: as the parameters say, or about as long as most."""
        said = (self.parameters.get(name) for name in ("max_completion_tokens", "max_tokens"))
        return next((most for most in said if isinstance(most, int)), USUAL_ANSWER_TOKENS)

    @cached_property
    def candidates(self) -> tuple["Model", ...]:
        """This model and its fallbacks, in the order in which they are asked."""
        return (self, *(each if isinstance(each, Model) else self._named(each)
                        for each in self.fallback))  # fmt: skip

    def _named(self, name: str) -> "Model":
        other = replace(self, name=name, fallback=())
        if other.provider == self.provider:
            return other
        return replace(other, base_url=None, api_key=None, speaks=None, parameters={})
