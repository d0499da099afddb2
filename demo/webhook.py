"""A receiver of alerts, as an on-call tool would have one: it says what arrives."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True, slots=True)
class ReceivedAlert:
    """One alert of an Alertmanager webhook, version 4."""

    fingerprint: str
    status: str
    """firing or resolved."""
    name: str
    tenant: str | None
    """None: all tenants together."""
    summary: str


class Pages:
    """Which alerts arrived, each once: a sender may repeat itself."""

    def __init__(self, on_alert: Callable[[ReceivedAlert], None]) -> None:
        self._on_alert = on_alert
        self._changed = threading.Condition()
        self._received: dict[tuple[str, str], ReceivedAlert] = {}

    def receive(self, alert: ReceivedAlert) -> None:
        with self._changed:
            if (key := (alert.fingerprint, alert.status)) in self._received:
                return
            self._received[key] = alert
            self._changed.notify_all()
        self._on_alert(alert)

    def has_fired(self, tenant: str) -> bool:
        with self._changed:
            return any(
                alert.tenant == tenant and alert.status == "firing"
                for alert in self._received.values()
            )

    def all_resolved(self) -> bool:
        with self._changed:
            fired = {key for key, status in self._received if status == "firing"}
            return fired <= {key for key, status in self._received if status == "resolved"}


@contextmanager
def alert_receiver(pages: Pages) -> Iterator[str]:
    """Receive alerts into ``pages`` while in the context; gives the URL to send them to."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                alerts = [_read(alert) for alert in json.loads(body)["alerts"]]
            except (ValueError, KeyError, TypeError):
                self.send_error(HTTPStatus.BAD_REQUEST, "not an Alertmanager webhook")
                return
            for alert in alerts:
                pages.receive(alert)
            self.send_response(HTTPStatus.NO_CONTENT)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Requests are not worth a line: alerts are."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/alerts"
    finally:
        server.shutdown()
        server.server_close()


def _read(alert: dict[str, object]) -> ReceivedAlert:
    labels, annotations = alert["labels"], alert["annotations"]
    if not isinstance(labels, dict) or not isinstance(annotations, dict):
        raise TypeError("labels and annotations are objects")
    return ReceivedAlert(
        fingerprint=str(alert["fingerprint"]),
        status=str(alert["status"]),
        name=labels["alertname"],
        tenant=labels.get("tenant_id"),
        summary=annotations["summary"],
    )
