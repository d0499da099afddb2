"""The channel that POSTs to a receiver of Alertmanager's webhooks, signed if there is a secret."""

import asyncio
import base64
import hashlib
import hmac
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson

from analytics.alerts.channels import ChannelError, rfc3339
from analytics.alerts.notification import Notification

NOT_ENDED = "0001-01-01T00:00:00Z"
"""How Alertmanager writes that an alert has no end yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookChannel:
    """POSTs the body of Alertmanager's webhook, version 4, so that its receivers work unchanged.

    Every request carries ``webhook-id``, equal over retries of the same notification. With a
    ``secret`` it is signed as standardwebhooks.com specifies (``webhook-timestamp``,
    ``webhook-signature: v1,<base64 HMAC-SHA256 of id.timestamp.body>``).
    """

    url: str
    name: str = "webhook"
    secret: str | None = field(default=None, repr=False)
    """Signing key; ``whsec_`` and base64 as in the specification, or any other text as it is."""
    timeout: float = 10.0
    """Seconds for the whole exchange, from connecting to the end of the answer."""

    def __post_init__(self) -> None:
        try:
            scheme, host = (parsed := httpx.URL(self.url)).scheme, parsed.host
        except httpx.InvalidURL as error:
            raise ValueError(f"webhook {self.name}: url {self.url!r}: {error}") from error
        if scheme not in ("http", "https") or not host:
            raise ValueError(
                f"webhook {self.name}: url {self.url!r} must be a full address; write e.g. "
                "https://hooks.example.com/alerts"
            )
        if self.timeout <= 0:
            raise ValueError(
                f"webhook {self.name}: timeout {self.timeout:g} must be above 0 seconds; write 10"
            )
        if self.secret is not None:
            signing_key(self.secret)

    async def send(self, notification: Notification) -> None:
        body = orjson.dumps(webhook_body(notification, receiver=self.name))
        message_id = f"{notification.fingerprint}.{notification.status}"
        headers = {"content-type": "application/json", "webhook-id": message_id}
        if self.secret is not None:
            sent_at = int(time.time())
            headers["webhook-timestamp"] = str(sent_at)
            headers["webhook-signature"] = sign(self.secret, message_id, sent_at, body)
        try:
            async with (
                asyncio.timeout(self.timeout),  # httpx limits each wait, not their sum
                httpx.AsyncClient(timeout=self.timeout) as client,
            ):
                response = await client.post(self.url, content=body, headers=headers)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise ChannelError(f"no answer within {self.timeout:g} s") from error
        except httpx.HTTPError as error:
            raise ChannelError(f"{type(error).__name__}: {error}".rstrip(": ")) from error
        if not response.is_success:
            raise ChannelError(
                f"HTTP {response.status_code} {response.reason_phrase}",
                retry_after=_retry_after(response),
            )


def webhook_body(notification: Notification, receiver: str) -> dict[str, Any]:
    """Alertmanager's webhook body, version 4, with a group of one alert.

    https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
    """
    labels, annotations = notification.labels, notification.annotations
    group = {k: v for k, v in labels.items() if k in ("alertname", "condition", "tenant_id")}
    dashboard = annotations.get("dashboard_url", "")
    matchers = ", ".join(f"{k}={orjson.dumps(v).decode()}" for k, v in sorted(group.items()))
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{matchers}}}",
        "truncatedAlerts": 0,
        "status": notification.status,
        "receiver": receiver,
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": dashboard,
        "alerts": [
            {
                "status": notification.status,
                "labels": labels,
                "annotations": annotations,
                "startsAt": rfc3339(notification.starts_at),
                "endsAt": rfc3339(notification.ends_at) if notification.ends_at else NOT_ENDED,
                "generatorURL": dashboard,
                "fingerprint": notification.fingerprint,
            }
        ],
    }


def sign(secret: str, message_id: str, sent_at: int, body: bytes) -> str:
    """The ``webhook-signature`` of a body; ``sent_at`` in seconds since the epoch."""
    content = f"{message_id}.{sent_at}.".encode() + body
    digest = hmac.new(signing_key(secret), content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"


def signing_key(secret: str) -> bytes:
    """:raises ValueError: when the secret is empty, or not base64 after ``whsec_``."""
    if not secret:
        raise ValueError("webhook secret is empty; leave it out, or write a long random text")
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except ValueError as error:
        raise ValueError(f"webhook secret: what follows whsec_ must be base64 ({error})") from error


def _retry_after(response: httpx.Response) -> float | None:
    wish = response.headers.get("retry-after", "")
    return float(wish) if wish.isdecimal() else None
