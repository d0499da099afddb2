"""What a run has used so far; becomes its summary line."""

from dataclasses import dataclass, field, replace
from typing import Literal

from agent_runtime.messages import LINE_FIELDS, Usage, UsageSource


@dataclass
class Tally:
    """Counts of one run. Calls are counted as they begin, so that a cut run has them too."""

    provider: str | None = None
    model: str | None = None
    """The model of the last answer, as the provider named it; as asked for if none answered."""
    fallbacks: list[str] = field(default_factory=list)
    """Of every call of a fallback, the model that it stands in for: the one that was asked for."""
    llm_calls: int = 0
    """Calls of a provider, every attempt included."""
    llm_retries: int = 0
    """How many of the calls repeated a failed one."""
    tool_calls: int = 0
    tool_errors: int = 0
    trimmed_messages: int = 0
    """Messages left out of prompts to stay within the token budget."""
    degraded: list[str] = field(default_factory=list)
    """Optional parts that failed or were too slow."""
    usages: list[Usage] = field(default_factory=list)
    """Of every call that was answered, failed attempts included."""
    usage_missing: int = 0
    """Answers that came to their end without the provider reporting usage."""
    db_wait_ms: float = 0.0
    """Time spent waiting for a connection to the store."""

    def count(self, model: str | None, usage: Usage | None) -> None:
        """Add what a call used that was answered, if only in part, by ``model``."""
        self.model = model or self.model
        if usage is None:
            self.usage_missing += 1
        else:
            self.usages.append(usage)

    @property
    def usage_source(self) -> UsageSource | Literal["missing"] | None:
        """Where token counts come from: ``missing`` if any call's usage is unknown, else
        ``estimated`` if any call's is a guess."""
        if self.usage_missing:
            return "missing"
        if any(usage.source == "estimated" for usage in self.usages):
            return "estimated"
        return "provider" if self.usages else None

    def tokens(self) -> dict[str, int | None]:
        """Sums over the calls; None rather than 0 when nothing is known."""
        if self.usage_missing and not self.usages:
            return dict.fromkeys(LINE_FIELDS)
        counts = [usage.counts for usage in self.usages]
        return {
            name: sum(each[place] or 0 for each in counts) for place, name in enumerate(LINE_FIELDS)
        }

    def mark(self) -> "Tally":
        """The counts of this moment."""
        return replace(self, usages=list(self.usages), fallbacks=list(self.fallbacks))

    def since(self, mark: "Tally") -> dict[str, object]:
        """What came since then, as fields of a node's line."""
        asked = self.llm_calls > mark.llm_calls
        added = Tally(
            usages=self.usages[len(mark.usages) :],
            usage_missing=self.usage_missing - mark.usage_missing,
        )
        return {
            "provider": self.provider if asked else None,
            "model": self.model if asked else None,
            "fallback_from": next(iter(self.fallbacks[len(mark.fallbacks) :]), None),
            **added.tokens(),
            "usage_source": added.usage_source,
            "llm_calls": self.llm_calls - mark.llm_calls,
            "tool_calls": self.tool_calls - mark.tool_calls,
            "tool_errors": self.tool_errors - mark.tool_errors,
        }

    def fields(self) -> dict[str, object]:
        """As fields of the summary line."""
        return {
            "provider": self.provider,
            "model": self.model,
            "fallback_from": next(iter(self.fallbacks), None),
            **self.tokens(),
            "usage_source": self.usage_source,
            "llm_calls": self.llm_calls,
            "llm_retries": self.llm_retries,
            "tool_calls": self.tool_calls,
            "tool_errors": self.tool_errors,
            "trimmed_messages": self.trimmed_messages,
            "degraded": list(self.degraded),
            "db_wait_ms": self.db_wait_ms,
        }
