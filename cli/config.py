"""What Quietpager can be told, by option, environment variable, ``quietpager.toml`` or not at all.

The first that says something wins, in this order. Every key of the file is checked; what is wrong
is named with its line, its value and the remedy.
"""

import os
from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ByteSize,
    ConfigDict,
    Field,
    PlainSerializer,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.addresses import Address
from cli.durations import parse_duration
from cli.mapping_rows import KindRow, MappingRow
from cli.strict import STRICT

if TYPE_CHECKING:
    from analytics import PriceOverride
    from analytics.alerts import AlertRule, WebhookChannel
    from lake import AttributeMap

FILE = Path("quietpager.toml")
FILE_VARIABLE = "QUIETPAGER_CONFIG"
PREFIX = "QUIETPAGER_"
LONGEST_RETENTION = 36_500
"""Days; a century, which the calendar of any reader holds."""


def _address(value: object) -> object:
    return Address.parse(value) if isinstance(value, str) else value


def _duration(value: object) -> object:
    return parse_duration(value) if isinstance(value, str) else value


Listen = Annotated[Address, BeforeValidator(_address), PlainSerializer(str)]
Duration = Annotated[
    timedelta, BeforeValidator(_duration), PlainSerializer(lambda d: f"{d.total_seconds():.3f}s")
]


def _usable(data: Path) -> Path:
    """That the lake can be there: what is received would be acknowledged and never written."""
    from lake.paths import unusable

    if reason := unusable(data):
        raise ValueError(reason)
    return data


# TOML has floats only: 0.15 is meant as 0.15, not as the nearest binary fraction.
Usd = Annotated[
    Decimal, BeforeValidator(lambda value: str(value) if isinstance(value, float) else value)
]


class Alert(BaseModel):
    """An alert on TTFB p95. What is left out is as `analytics.alerts.AlertRule` has it."""

    model_config = STRICT | ConfigDict(validate_by_name=True, serialize_by_alias=True)

    name: str
    """Unique; an incident is known by it over restarts."""
    threshold_ms: float | None = None
    """Breached when the p95 is this many milliseconds or more."""
    window: Duration | None = None
    """How far back the p95 looks."""
    for_: Annotated[Duration | None, Field(alias="for")] = None
    """How long the breach must hold before the alert fires."""
    keep_firing_for: Duration | None = None
    """How long the breach must be over before it resolves."""
    interval: Duration | None = None
    """How often it is evaluated."""
    min_samples: int | None = None
    """With fewer runs in the window nothing is concluded."""
    per_tenant: bool | None = None
    """Also watch each tenant on its own."""
    unknown_after: Duration | None = None
    """Notify when it could not be evaluated for this long."""
    stale_after: Duration | None = None
    """A firing alert that nothing has measured for this long resolves, and says why."""
    severity: Literal["page", "ticket"] | None = None
    """Whom it may wake."""
    runbook: str | None = None
    """What to do about it: a few words, or a URL."""

    def rule(self) -> "AlertRule":
        from analytics.alerts import AlertRule

        return AlertRule(**{name: getattr(self, name) for name in self.model_fields_set})

    @model_validator(mode="after")
    def _must_work(self) -> Self:
        self.rule()
        return self


class Webhook(BaseModel):
    """A receiver of alerts that takes Alertmanager's webhook body, version 4."""

    model_config = STRICT

    url: str
    """Where alerts are POSTed to."""
    name: str = "webhook"
    """Unique; undelivered alerts are kept under it over restarts."""
    secret_env: str | None = None
    """Environment variable with the key that signs each request (standardwebhooks.com)."""
    timeout: Duration = timedelta(seconds=10)
    """How long to wait for the receiver."""

    def channel(self) -> "WebhookChannel":
        from analytics.alerts import WebhookChannel

        secret = os.environ.get(self.secret_env) if self.secret_env else None
        if self.secret_env and not secret:
            raise ValueError(f"secret_env {self.secret_env!r} is not set; export it")
        return WebhookChannel(
            url=self.url, name=self.name, secret=secret, timeout=self.timeout.total_seconds()
        )

    @model_validator(mode="after")
    def _must_work(self) -> Self:
        self.channel()
        return self


class Price(BaseModel):
    """What you really pay for a model, in USD per million tokens, over a range of UTC days."""

    model_config = STRICT

    provider: str
    """Who serves the model, as telemetry names it, e.g. openai."""
    model: str
    """The model, as telemetry names it."""
    input: Usd
    """USD per million tokens of input."""
    output: Usd
    """USD per million tokens of output."""
    cache_read: Usd | None = None
    """USD per million tokens read from the cache; as other input when left out."""
    cache_write: Usd | None = None
    """USD per million tokens written to the cache; as other input when left out."""
    valid_from: date | None = None
    """The first day it holds; since ever when left out."""
    valid_to: date | None = None
    """The first day it no longer holds; for ever when left out."""

    def override(self) -> "PriceOverride":
        from analytics import PriceOverride

        return PriceOverride(**{name: getattr(self, name) for name in self.model_fields_set})

    @model_validator(mode="after")
    def _must_work(self) -> Self:
        self.override()
        return self


class Privacy(BaseModel):
    """What of a message's content is stored: nothing, but for the tenants you name."""

    model_config = STRICT

    keep_content_for: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Tenants whose prompts, answers and tool data are stored. Records that name no tenant
    themselves, nor on their resource, are stored without; secrets are masked for everybody."""


class Config(BaseSettings):
    """All settings. Each is a key of the file and, in capitals after ``QUIETPAGER_``, an
    environment variable; where a command has an option of that name, the option comes first.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )

    data: Annotated[Path, AfterValidator(_usable), Field(validate_default=True)] = Path(
        ".quietpager"
    )
    """Directory of journal, lake and state. A relative path in the file is relative to the file."""
    otlp_http: Listen = Address("127.0.0.1", 4318)
    """Where OTLP over HTTP is received."""
    otlp_grpc: Listen = Address("127.0.0.1", 4317)
    """Where OTLP over gRPC is received."""
    dashboard: Listen = Address("127.0.0.1", 8321)
    """Where the dashboard is served. It has no login: mind who can reach it."""
    retention_days: Annotated[int, Field(ge=1, le=LONGEST_RETENTION)] = 30
    """Days of telemetry to keep besides today (UTC), at most 36500."""
    tenant_retention_days: Mapping[str, Annotated[int, Field(ge=0, le=LONGEST_RETENTION)]] = {}
    """Days of telemetry of single tenants, where it is fewer, e.g. { acme = 7 }."""
    journal_budget: Annotated[ByteSize, Field(gt=0)] = ByteSize(4 * 1024**3)
    """Disk that may wait for the writer before senders are asked to come back, e.g. "4GiB"."""
    min_free: Annotated[ByteSize, Field(ge=0)] = ByteSize(256 * 1024**2)
    """Disk that must stay free, for the writer to work with, before senders are asked to come
    back."""
    slo: Path | None = None
    """OpenSLO file, or directory of them; the shipped objectives when left out."""
    alerts: tuple[Alert, ...] | None = None
    """Alert rules; the default rule when left out, none at all when an empty list."""
    webhooks: tuple[Webhook, ...] = ()
    """Who is told of alerts, besides the log."""
    prices: tuple[Price, ...] = ()
    """Prices of your contracts and corrections; they come before the public price list."""
    privacy: Privacy = Privacy()
    """Whose content is stored."""
    mapping: tuple[MappingRow, ...] = ()
    """Attributes of your own that columns are taken from, e.g. the tenant from customer.id."""
    kinds: tuple[KindRow, ...] = ()
    """What operations and names of your own are: agent, llm, tool, node or other."""

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        for key, named in (("alerts", self.alerts or ()), ("webhooks", self.webhooks)):
            names = [each.name for each in named]
            for name in set(names):
                if names.count(name) > 1:
                    raise ValueError(f"two {key} are named {name!r}; give each its own name")
        return self

    @model_validator(mode="after")
    def _no_tenant_outlives_its_day(self) -> Self:
        """A day out of `retention_days` goes as a whole: a longer promise could not be kept."""
        for tenant, days in self.tenant_retention_days.items():
            if days > self.retention_days:
                raise ValueError(
                    f"tenant_retention_days of {tenant!r} is {days}, longer than retention_days "
                    f"{self.retention_days}, after which every row is deleted; raise "
                    f"retention_days to {days} and name the tenants that are to be kept for fewer"
                )
        return self

    @model_validator(mode="after")
    def _sources_are_unique(self) -> Self:
        for row in set(self.mapping):
            if self.mapping.count(row) > 1:
                raise ValueError(
                    f"mapping of {row.attribute!r} to {row.column} stands there twice; take one out"
                )
        return self

    def alert_rules(self) -> "tuple[AlertRule, ...]":
        from analytics.alerts import AlertRule

        return (AlertRule(),) if self.alerts is None else tuple(a.rule() for a in self.alerts)

    def price_overrides(self) -> "tuple[PriceOverride, ...]":
        return tuple(price.override() for price in self.prices)

    def attribute_map(self) -> "AttributeMap":
        """What ingest maps by: the rows of the file, then what ships."""
        from lake.mapping_file import with_own

        return with_own(
            [row.model_dump() for row in self.mapping], [row.model_dump() for row in self.kinds]
        )
