"""Requests to the receiver of one data directory, and its answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import stamina
from google.protobuf import json_format
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status

from ingest.backfill.pieces import Piece, body_of
from ingest.backfill.signals import TAKEN
from ingest.identity import DATA_HEADER, identity_of
from ingest.receive.decode import Format

FIRST_CONTACT_SECONDS = 10.0
PATIENCE_SECONDS = 600.0
"""How long the receiver may ask to come back, or not answer, before the import gives up."""

_RETRYABLE = {429, 502, 503, 504}
_UNREADABLE = {400, 413}
_MISDIRECTED = 421
_LONGEST_WAIT_SECONDS = 30.0


class NoReceiver(Exception):  # noqa: N818 - it names what is the case
    """Nobody takes requests for the data directory at the address; the message has no remedy."""


@dataclass(frozen=True)
class Refused:
    """Records that the receiver did not take, where they are in the file, and why."""

    signal: str
    records: int
    place: str
    why: str


class _ComeBack(Exception):  # noqa: N818 - an answer
    def __init__(self, why: str, after_seconds: float | None = None) -> None:
        super().__init__(why)
        self.after_seconds = after_seconds


class Sender:
    """Sends to the receiver at `url` what is meant for the data directory `data`.

    Each request names the directory: a receiver of another one refuses it, and one that does not
    confirm the name, such as a collector's, is taken for a stranger. `on_wait` hears why the
    receiver has to be asked again, each time before the wait.
    """

    def __init__(
        self,
        url: str,
        data: Path,
        on_wait: Callable[[str], None],
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self._url = url.rstrip("/")
        self._on_wait = on_wait
        self._patience = patience_seconds
        self._client = httpx.Client(
            headers={DATA_HEADER: identity_of(data)}, timeout=60.0, trust_env=False
        )

    def __enter__(self) -> "Sender":
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def greet(self) -> None:
        """See that the receiver is there and the right one, by an empty request.

        Raises NoReceiver.
        """
        self._post(next(iter(TAKEN)), Format.PROTOBUF, b"", FIRST_CONTACT_SECONDS)

    def send(self, pieces: Sequence[Piece]) -> list[Refused]:
        """Send pieces of one kind as one request; returns once what is taken is on disk.

        When the receiver cannot read the request, its halves are sent alone, until the piece at
        fault is found. Raises NoReceiver when it does not answer for `PATIENCE_SECONDS`.
        """
        pieces = list(pieces)
        signal, form = pieces[0].kind
        answer = self._post(signal, form, body_of(pieces), self._patience)
        if answer.is_success:
            return self._refused_part(answer, pieces)
        if len(pieces) == 1:
            piece = pieces[0]
            return [Refused(signal, piece.records, piece.place, _why(answer, signal, form))]
        half = len(pieces) // 2
        return self.send(pieces[:half]) + self.send(pieces[half:])

    def _refused_part(self, answer: httpx.Response, pieces: Sequence[Piece]) -> list[Refused]:
        signal, form = pieces[0].kind
        response: Any = TAKEN[signal].response()
        try:
            if form is Format.JSON:
                json_format.Parse(answer.content, response, ignore_unknown_fields=True)
            else:
                response.ParseFromString(answer.content)
        except (json_format.ParseError, DecodeError) as fault:
            raise NoReceiver(f"{self._url} does not answer as OTLP has it: {fault}") from None
        partial = response.partial_success
        if not (records := getattr(partial, TAKEN[signal].rejected_field)):
            return []
        place = pieces[0].place
        if len(pieces) > 1:
            place += f" to {pieces[-1].place.split()[-1]}"
        return [Refused(signal, records, place, partial.error_message)]

    def _post(
        self, signal: str, form: Format, body: bytes, patience_seconds: float
    ) -> httpx.Response:
        """Success, or that the request cannot be read, after the attempts there is patience for."""
        attempts = stamina.retry_context(
            on=self._wish,
            attempts=None,
            timeout=patience_seconds,
            wait_initial=0.2,
            wait_max=_LONGEST_WAIT_SECONDS,
            wait_jitter=0.2,
        )
        try:
            for attempt in attempts:
                with attempt:
                    return self._post_once(signal, form, body)
        except _ComeBack as fault:
            raise NoReceiver(f"{self._url} does not take telemetry: {fault}") from None
        raise AssertionError("the last attempt returns or raises")

    def _post_once(self, signal: str, form: Format, body: bytes) -> httpx.Response:
        url = self._url + TAKEN[signal].path
        try:
            answer = self._client.post(url, content=body, headers={"content-type": form.value})
        except httpx.InvalidURL as fault:
            raise NoReceiver(f"{self._url}: {fault}") from None
        except httpx.TransportError as fault:
            raise _ComeBack(str(fault) or type(fault).__name__) from None
        if answer.status_code == _MISDIRECTED:
            raise NoReceiver(f"{self._url} belongs to another data directory")
        if answer.is_success and DATA_HEADER not in answer.headers:
            raise NoReceiver(f"{self._url} takes telemetry, but is no receiver of Quietpager's")
        if answer.status_code in _RETRYABLE:
            wait = answer.headers.get("retry-after", "")
            why = _why(answer, signal, form)
            raise _ComeBack(why, float(wait) if wait.isdecimal() else None)
        if not answer.is_success and answer.status_code not in _UNREADABLE:
            # Whatever it is, it is not about this request: the next ones would fare alike.
            raise NoReceiver(f"{self._url}: {_why(answer, signal, form)}")
        return answer

    def _wish(self, error: Exception) -> bool | float:
        """Whether to try again, and after how many seconds if the receiver said so."""
        if not isinstance(error, _ComeBack):
            return False
        self._on_wait(str(error))
        if error.after_seconds is None:
            return True
        return min(error.after_seconds, _LONGEST_WAIT_SECONDS)


def _why(answer: httpx.Response, signal: str, form: Format) -> str:
    """The message of an answer that is no success."""
    status = Status()
    try:
        if form is Format.JSON:
            json_format.Parse(answer.content, status, ignore_unknown_fields=True)
        else:
            status.ParseFromString(answer.content)
    except (json_format.ParseError, DecodeError):
        status.message = ""
    return status.message or f"{answer.status_code} {answer.reason_phrase} for {signal}"
