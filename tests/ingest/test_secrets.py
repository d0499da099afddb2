"""Secrets are masked wherever they are written, and what only looks like one stays."""

import base64
import hashlib
import json
import uuid
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.privacy.masking import MASK, masked
from tests.ingest.test_privacy import one_log, one_span
from tests.ingest.values import pairs

SECRETS = {
    "OpenAI": "sk-abcdefghijklmnop1234",
    "OpenAI, of a project": "sk-proj-abcdefghijklmnop1234",
    "Anthropic": "sk-ant-api03-abcdefghijklmnop1234",
    "OpenRouter": "sk-or-v1-0123456789abcdef0123456789abcdef",
    "Google": "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "Groq": "gsk_abcdefghijklmnopqrstuvwxyz",
    "xAI": "xai-abcdefghijklmnopqrstuvwxyz0123456789",
    "Hugging Face": "hf_abcdefghijklmnopqrstuvwxyz0123",
    "GitHub": "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "GitHub, fine-grained": "github_pat_11ABCDEFG0abcdefghij_klmnopqrstuvwxyz",
    "npm": "npm_abcdefghijklmnopqrstuvwxyz0123456789",
    "Slack": "xoxb-123456789012-abcdefghij",
    "AWS": "AKIAIOSFODNN7EXAMPLE",
    "Stripe": "rk_live_abcdefghijklmnop1234",
    "bearer": "Bearer abcdef.ghijkl-mnop",
    "JWT": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl",
    "e-mail": "bob@example.com",
    "card": "4111 1111 1111 1111",
    "American Express": "3782-822463-10005",
    "private key": "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc+/=\n-----END RSA PRIVATE KEY-----",
    "password": "password=hunter22",
    "basic": "Authorization: Basic Ym9iOmh1bnRlcjIy",
    "URL": "postgres://bob:hunter22@db/x",
    "URL without a user": "redis://:hunter22@db/x",
    "connection string": "Server=db;User Id=bob;Pwd=hunter22;",
    "account key": "AccountName=x;AccountKey=aHVudGVyMjI=;EndpointSuffix=y",
}
_AROUND = ("Bearer ", "password=", "Authorization: Basic ", "AccountName=x;AccountKey=",
           "Server=db;User Id=bob;Pwd=", "postgres://bob:", "redis://:")  # fmt: skip


def essence(secret: str) -> str:
    """What of a secret must not be left."""
    for start in _AROUND:
        secret = secret.removeprefix(start)
    lines = secret.split(";")[0].split("@db")[0].splitlines()
    return lines[len(lines) // 2]


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_are_masked_wherever_a_text_can_stand(secret: str) -> None:
    """Attributes, maps, JSON within JSON, status, exceptions, bodies; the words around it stay."""
    words = f"no luck with {secret} today"
    document = {"deep": [{"words": words, "n": 1}]}
    event = Span.Event(name="exception")
    event.attributes.extend(pairs({"exception.message": words, "exception.stacktrace": words}))
    attributes: dict[str, Any] = {
        "note": words, "in.list": [words], "in.map": document, "json": json.dumps(document),
        "within": json.dumps({"json": json.dumps(document)}),
    }  # fmt: skip
    row = one_span(attributes, status={"code": 2, "message": words}, events=[event])
    assert essence(secret) not in str(row)
    assert row["status_message"].startswith("no luck with ")
    assert row["status_message"].endswith(" today")
    assert row["error_message"] == row["status_message"]
    for body in (words, document, json.dumps(document)):
        assert essence(secret) not in str(one_log(body))


def test_secrets_in_names_of_spans_and_events_are_masked() -> None:
    """What structlog calls the event is the message of the line; spans are named after URLs."""
    secret = SECRETS["OpenAI"]
    span = one_span({"event": f"asked with {secret}"}, name=f"GET {secret}")
    line = one_log("", f"asked with {secret}")
    assert secret not in str((span, line))
    assert line["event_name"] == f"asked with {MASK}"
    assert one_log("", "agent.run")["event_name"] == "agent.run"


@pytest.mark.parametrize(
    "name", ["password", "x-api-key", "clientSecret", "Authorization", "cookie"]
)
@pytest.mark.parametrize("form", [str, json.dumps, lambda value: json.dumps(json.dumps(value))])
def test_a_secret_by_its_name_is_masked_in_maps(name: str, form: Callable[[Any], str]) -> None:
    """As Python and as JSON write them; a passphrase goes with all its words, JSON stays JSON."""
    left = dict(one_span({"custom": form({name: "correct horse", "turn": 2})})["attributes"])
    assert "horse" not in left["custom"]
    assert MASK in left["custom"]
    assert "turn" in left["custom"]
    if form is json.dumps:
        assert json.loads(left["custom"]) == {name: MASK, "turn": 2}


PLAIN: dict[str, Callable[[bytes], str]] = {
    "trace id": lambda seed: hashlib.sha256(seed).hexdigest()[:32],
    "span id": lambda seed: hashlib.sha256(seed).hexdigest()[:16],
    "SHA-256": lambda seed: hashlib.sha256(seed).hexdigest(),
    "UUID": lambda seed: str(uuid.UUID(bytes=hashlib.sha256(seed).digest()[:16], version=4)),
    "UUID of digits": lambda seed: _digits(seed),
    "image": lambda seed: "data:image/png;base64," + base64.b64encode(seed * 8).decode(),
    "image for URLs": lambda seed: base64.urlsafe_b64encode(b"\x89PNG" + seed * 8).decode(),
    "time in ms": lambda seed: str(1_700_000_000_000 + int.from_bytes(seed[:4], "big")),
}


def _digits(seed: bytes) -> str:
    digits = str(int.from_bytes(hashlib.sha256(seed).digest(), "big"))[:32]
    return str(uuid.UUID(hex=digits.zfill(32), version=4))


@given(seed=st.binary(min_size=4, max_size=60), kind=st.sampled_from(sorted(PLAIN)))
def test_what_is_no_secret_stays(seed: bytes, kind: str) -> None:
    """Ids, digests, images and times, in a sentence and in JSON."""
    text = PLAIN[kind](seed)
    said = [f"call {text} failed", json.dumps({"x": text}), text]
    assert masked(pa.array(said)).to_pylist() == said


@pytest.mark.parametrize(
    "text",
    [
        "hf_transformers_generate_with_pipeline", "pk_customers_region_and_currency",
        "task-sk", "basic understanding of tokens", "the secret is out",
        "risk-averse-customers-only",
        "https://example.com:8080/a@b", "12:30:45", "fw_update_of_all_settings_done",
        "completion_tokens: 4111, prompt_tokens: 22", "version 2.3.4-1111", "2026-11-29T21:52:37Z",
    ],
)  # fmt: skip
def test_words_that_begin_like_keys_stay(text: str) -> None:
    """Names of functions, constraints and settings are no keys."""
    assert masked(pa.array([text])).to_pylist() == [text]
