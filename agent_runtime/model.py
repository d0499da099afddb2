"""Which model to ask, where it is served, and how patient to be."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

OPENAI_URL = "https://api.openai.com/v1"


@dataclass(frozen=True, eq=False)
class Model:
    """A chat model behind an OpenAI-compatible endpoint.

    ``name`` is ``"provider:model"``, e.g. ``"openai:gpt-4o-mini"``; without a provider it is
    ``openai``. Durations are in seconds.

    :raises ValueError: when a value cannot work.
    """

    name: str
    base_url: str | None = None
    """Where ``/chat/completions`` is found; OPENAI_BASE_URL or api.openai.com for ``openai``."""
    api_key: str | None = field(default=None, repr=False)
    """OPENAI_API_KEY when not given and the provider is ``openai``."""
    fallback: Sequence["Model | str"] = ()
    """Asked in order when this model fails; a name is served by the same endpoint. Once a run has
    fallen back, it stays with the fallback."""
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
    """Sent along as they are, e.g. ``{"temperature": 0.2}``."""

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
        if self.provider != "openai":
            raise ValueError(f"model {self.name!r} needs a base_url: only openai's is known")
        return os.environ.get("OPENAI_BASE_URL", OPENAI_URL).rstrip("/")

    @property
    def key(self) -> str | None:
        """The key to sign calls with."""
        if self.api_key is None and self.provider == "openai":
            return os.environ.get("OPENAI_API_KEY")
        return self.api_key

    @cached_property
    def candidates(self) -> tuple["Model", ...]:
        """This model and its fallbacks, in the order in which they are asked."""
        return (
            self,
            *(
                replace(self, name=each, fallback=()) if isinstance(each, str) else each
                for each in self.fallback
            ),
        )
