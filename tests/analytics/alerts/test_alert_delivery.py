"""Delivery to receivers that refuse, hang, are down, or come back."""

import base64
import hashlib
import hmac
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest
import structlog

from analytics.alerts import (
    AlertHistory,
    AlertRule,
    AlertState,
    AlertStore,
    Backoff,
    Channel,
    LogChannel,
    Notification,
    Observation,
    Transition,
    WebhookChannel,
)
from analytics.alerts.delivery import delivering
from analytics.alerts.notification import announce
from analytics.alerts.store import Evaluation, ScopeResult
from analytics.alerts.webhook import sign
from tests.analytics.alerts.receiver import Received, Receiver, until

AT = datetime(2026, 3, 1, 3, 2, tzinfo=UTC)
RULE = AlertRule()
SLOW = Observation("measured", 2410.0, 132, 132)
QUICK = Backoff(initial=timedelta(milliseconds=10), most=timedelta(milliseconds=50))


def told(tenant: str | None, status: str = "firing") -> Notification:
    at = AT if status == "firing" else AT + timedelta(minutes=7)
    end = Transition("breach", "firing" if status == "firing" else "resolved", AT, at)
    return announce(RULE, tenant, SLOW, end, "https://dash.example.com/")


def enqueue(store: AlertStore, channels: Sequence[str], *notifications: Notification) -> None:
    for notification in notifications:
        scope = ScopeResult(notification.tenant_id, AlertState(), SLOW, (notification,))
        store.record(Evaluation(RULE.name, AT, (scope,)), channels)


@contextmanager
def delivery(store: AlertStore, *channels: Channel, backoff: Backoff = QUICK) -> Iterator[None]:
    with delivering(store, channels, backoff):
        yield


def is_empty(store: AlertStore) -> bool:
    return not store.undelivered()


@dataclass
class Memory:
    """A channel that remembers."""

    name: str = "memory"
    received: list[Notification] = field(default_factory=list)

    async def send(self, notification: Notification) -> None:
        self.received.append(notification)


def test_body_is_alertmanagers_webhook_version_4(store: AlertStore, receiver: Receiver) -> None:
    """Every field of Alertmanager's webhook body is there, with its meaning."""
    enqueue(store, ["hook"], told("acme"))
    with delivery(store, WebhookChannel(url=receiver.url, name="hook")):
        until(lambda: is_empty(store))
    (request,) = receiver.requests
    labels = {
        "alertname": "ttfb-p95",
        "condition": "breach",
        "severity": "page",
        "scope": "tenant",
        "tenant_id": "acme",
    }
    annotations = told("acme").annotations
    assert request.payload == {
        "version": "4",
        "groupKey": '{}:{alertname="ttfb-p95", condition="breach", tenant_id="acme"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "hook",
        "groupLabels": {"alertname": "ttfb-p95", "condition": "breach", "tenant_id": "acme"},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "https://dash.example.com/",
        "alerts": [
            {
                "status": "firing",
                "labels": labels,
                "annotations": annotations,
                "startsAt": "2026-03-01T03:02:00Z",
                "endsAt": "0001-01-01T00:00:00Z",
                "generatorURL": "https://dash.example.com/",
                "fingerprint": told("acme").fingerprint,
            }
        ],
    }
    assert request.headers["content-type"] == "application/json"
    assert "webhook-signature" not in request.headers


def test_resolved_carries_its_end(store: AlertStore, receiver: Receiver) -> None:
    """The end of an incident has endsAt, and the fingerprint of its beginning."""
    enqueue(store, ["webhook"], told("acme"), told("acme", "resolved"))
    with delivery(store, WebhookChannel(url=receiver.url)):
        until(lambda: is_empty(store))
    begin, end = receiver.requests
    assert (begin.payload["status"], end.payload["status"]) == ("firing", "resolved")
    assert end.alert["endsAt"] == "2026-03-01T03:09:00Z"
    assert end.alert["fingerprint"] == begin.alert["fingerprint"]
    assert end.payload["groupKey"] == begin.payload["groupKey"]


def test_signature_lets_the_receiver_check_who_sent_it(
    store: AlertStore, receiver: Receiver
) -> None:
    """With a secret the body is signed as Standard Webhooks has it, with a fresh time."""
    enqueue(store, ["webhook"], told("acme"))
    with delivery(store, WebhookChannel(url=receiver.url, secret="s3cret")):
        until(lambda: is_empty(store))
    (request,) = receiver.requests
    signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode()
    digest = hmac.new(b"s3cret", signed + request.body, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert abs(int(request.headers["webhook-timestamp"]) - time.time()) < 60


def test_signature_equals_the_specifications_example() -> None:
    """The example of the Standard Webhooks specification, with its whsec_ secret."""
    signature = sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_refused_notification_is_sent_again_until_accepted(
    store: AlertStore, receiver: Receiver
) -> None:
    """500, 503, 404, 302, then 200: accepted once, under one webhook-id, tries counted."""
    answers = iter([500, 503, 404, 302, 200])
    receiver.answer = lambda _: next(answers)
    enqueue(store, ["webhook"], told("acme"))
    with delivery(store, WebhookChannel(url=receiver.url)):
        until(lambda: is_empty(store))
        time.sleep(0.2)
    assert len(receiver.requests) == 5
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1


@pytest.mark.parametrize("hanging", [None, 0], ids=["silent", "dripping"])
def test_receiver_that_hangs_is_given_up_on_and_tried_again(
    store: AlertStore, receiver: Receiver, hanging: int | None
) -> None:
    """No whole answer within the timeout counts as not delivered; the reason is shown."""
    enqueue(store, ["webhook"], told("acme"))
    receiver.answer = lambda _: hanging
    with delivery(store, WebhookChannel(url=receiver.url, timeout=0.2)):
        until(lambda: store.undelivered()[0].attempts >= 2)
        assert store.undelivered()[0].last_error == "no answer within 0.2 s"
        receiver.answer = lambda _: 200
        until(lambda: is_empty(store))


def test_receiver_that_is_down_gets_it_when_it_is_up(store: AlertStore) -> None:
    """Connections refused for a while; once something listens there, the notification arrives."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    receiver = Receiver(port=port)
    enqueue(store, ["webhook"], told("acme"))
    with delivery(store, WebhookChannel(url=receiver.url)):
        until(lambda: store.undelivered()[0].attempts >= 2)
        (waiting,) = AlertHistory(store.path).undelivered()
        assert waiting.last_error is not None
        assert waiting.last_error.startswith("ConnectError")
        with receiver.listening():
            until(lambda: is_empty(store))
    assert [request.seen for request in receiver.accepted] == [("acme", "firing")]


def test_channel_that_fails_does_not_hold_up_another(store: AlertStore, receiver: Receiver) -> None:
    """While a webhook hangs, every other channel gets everything."""
    receiver.answer = lambda _: None
    memory = Memory()
    enqueue(store, ["webhook", "memory"], told("acme"), told("acme", "resolved"))
    with delivery(store, WebhookChannel(url=receiver.url, timeout=30), memory):
        until(lambda: len(memory.received) == 2)
        until(lambda: [d.channel for d in store.undelivered()] == ["webhook", "webhook"])
    assert [n.status for n in memory.received] == ["firing", "resolved"]


def test_end_of_an_incident_never_overtakes_its_beginning(
    store: AlertStore, receiver: Receiver
) -> None:
    """Refused at first, both ends arrive in order."""
    refusals = iter([500, 500, 500])
    receiver.answer = lambda _: next(refusals, 200)
    enqueue(store, ["webhook"], told("acme"), told("acme", "resolved"))
    with delivery(store, WebhookChannel(url=receiver.url)):
        until(lambda: is_empty(store))
    assert [r.seen for r in receiver.requests] == [("acme", "firing")] * 4 + [("acme", "resolved")]


def test_notification_that_is_refused_for_ever_blocks_no_other_incident(
    store: AlertStore, receiver: Receiver
) -> None:
    """A receiver that chokes on one incident gets all others; that one is tried on and on."""

    def answer(request: Received) -> int:
        return 400 if request.seen[0] == "poison" else 200

    receiver.answer = answer
    tenants = ["poison", *(f"t{number}" for number in range(20))]
    enqueue(store, ["webhook"], *(told(tenant) for tenant in tenants))
    with delivery(store, WebhookChannel(url=receiver.url)):
        until(lambda: len(store.undelivered()) == 1)
        tries = store.undelivered()[0].attempts
        until(lambda: store.undelivered()[0].attempts > tries)
    assert {request.seen[0] for request in receiver.accepted} == set(tenants[1:])
    assert store.undelivered()[0].last_error == "HTTP 400 Bad Request"


def test_retry_after_is_honoured(store: AlertStore, receiver: Receiver) -> None:
    """429 with Retry-After: 1 is followed by a second's silence, not by our own quicker retry."""
    times: list[float] = []

    def answer(_: Received) -> object:
        times.append(time.monotonic())
        return (429, {"retry-after": "1"}) if len(times) == 1 else 200

    receiver.answer = answer
    enqueue(store, ["webhook"], told("acme"))
    with delivery(store, WebhookChannel(url=receiver.url)):
        until(lambda: is_empty(store))
    assert times[1] - times[0] >= 1


def test_absurd_retry_after_is_cut(store: AlertStore, receiver: Receiver) -> None:
    """A receiver that asks for a century of silence is tried again after longest_wish."""
    wishes = iter([(503, {"retry-after": "3153600000"})])
    receiver.answer = lambda _: next(wishes, 200)
    enqueue(store, ["webhook"], told("acme"))
    backoff = replace(QUICK, longest_wish=timedelta(milliseconds=20))
    with delivery(store, WebhookChannel(url=receiver.url), backoff=backoff):
        until(lambda: is_empty(store))
    assert len(receiver.requests) == 2


def test_stopping_does_not_wait_for_a_backoff_or_a_hanging_receiver(
    store: AlertStore, receiver: Receiver
) -> None:
    """Shutdown is prompt, and what was not delivered is still in the outbox."""
    receiver.answer = lambda request: None if request.seen[0] == "acme" else 500
    enqueue(store, ["webhook"], told("acme"), told("beta"))
    slow = Backoff(initial=timedelta(minutes=5), most=timedelta(minutes=5))
    with delivery(store, WebhookChannel(url=receiver.url, timeout=60), backoff=slow):
        until(lambda: len(receiver.requests) == 2)
        began = time.monotonic()
    assert time.monotonic() - began < 5
    assert len(store.undelivered()) == 2


def test_news_are_delivered_without_waiting(store: AlertStore) -> None:
    """What is recorded while delivery runs goes out as soon as it is announced."""
    memory = Memory()
    with delivering(store, [memory], QUICK) as announce_news:
        enqueue(store, ["memory"], told("acme"))
        announce_news()
        until(lambda: memory.received)


def test_channel_that_is_no_longer_configured_keeps_its_notifications(store: AlertStore) -> None:
    """They wait in the outbox, in nobody's way, until the channel is back."""
    memory = Memory()
    enqueue(store, ["memory", "gone"], told("acme"))
    with delivery(store, memory):
        until(lambda: [d.channel for d in store.undelivered()] == ["gone"])
    gone = Memory(name="gone")
    with delivery(store, gone):
        until(lambda: is_empty(store))
    assert gone.received == memory.received == [told("acme")]


def test_outbox_that_cannot_be_written_does_not_send_twice(store: AlertStore) -> None:
    """While the store refuses to note a delivery (full disk), the receiver is left in peace."""
    memory = Memory()
    full = threading.Event()
    full.set()

    class FullDisk(AlertStore):
        tries = 0

        def delivered(self, *args: object) -> None:
            if full.is_set():
                self.tries += 1
                raise OSError(28, "No space left on device")
            super().delivered(*args)  # type: ignore[arg-type]

    on_full_disk = FullDisk(store.path)
    enqueue(store, ["memory"], told("acme"))
    with delivery(on_full_disk, memory):
        until(lambda: on_full_disk.tries >= 3)
        full.clear()
        until(lambda: is_empty(store))
    assert len(memory.received) == 1


def test_log_channel_writes_one_structured_line(store: AlertStore) -> None:
    """A warning with labels and annotations as fields when it fires, an info when it is over."""
    enqueue(store, ["log"], told("acme"), told("acme", "resolved"))
    with structlog.testing.capture_logs() as lines, delivery(store, LogChannel()):
        until(lambda: is_empty(store))
    begin, end = (line for line in lines if line["event"] == "alert")
    assert (begin["log_level"], begin["status"], begin["tenant_id"]) == (
        "warning",
        "firing",
        "acme",
    )
    assert begin["summary"].startswith("TTFB p95 2.41 s over 1.5 s for tenant acme")
    assert (end["log_level"], end["ends_at"]) == ("info", "2026-03-01T03:09:00Z")
    json.dumps([begin, end])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"url": "hooks.example.com"}, "must be a full address; write e.g. https://"),
        ({"url": "ftp://example.com/"}, "must be a full address"),
        ({"url": "http://[::1"}, "webhook webhook: url 'http://"),
        ({"timeout": 0}, "timeout 0 must be above 0 seconds; write 10"),
        ({"secret": ""}, "webhook secret is empty; leave it out"),
        ({"secret": "whsec_%%%"}, "what follows whsec_ must be base64"),
    ],
)
def test_webhook_that_cannot_work_is_refused(fields: dict[str, object], message: str) -> None:
    """A wrong address, timeout or secret is an error at the start, not at three in the morning."""
    with pytest.raises(ValueError, match=re.escape(message)):
        WebhookChannel(**({"url": "https://example.com/"} | fields))  # type: ignore[arg-type]


def test_secret_is_not_shown() -> None:
    """Printing or logging a channel does not give its secret away."""
    assert "s3cret" not in repr(WebhookChannel(url="https://example.com/", secret="s3cret"))
