"""Secrets in texts of any length: none gets through at a cut, and none holds up the event loop."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_runtime.masking import (
    _SECRETS,
    AHEAD,
    HEAD,
    QUOTED,
    TAIL,
    mask_secrets,
    masked_beginning,
    quoted,
)

PIECES = ("eyJ", "aaaaaaaa", "-", ".", "_", "sk-", "hf_", "AKIA", "AIza", "://", "a:", "@", "/",
          "bearer ", "basic ", "authorization: ", "password", "token", "key", "=", ": ", "'", '"',
          "\\", "\n", " ", "é", "https://", "8080", "xai-", "nvapi-", "('x-", "b'", ", ", "sig=",
          "-----BEGIN ", "PRIVATE KEY-----", "-")  # fmt: skip
SECRETS = (
    "sk-SECRETSECRET", "hf_SECRETSECRETSECRET", "AKIASECRETSECRETSECR", "AIza" + "SECRE" * 7,
    "eyJSECRETSECRET.SECRET.SECRET", "bearer SECRET", "basic SECRETSECRET",
    "x://user:SECRET" + "SECRET" * 100 + "@host", "authorization: SECRET SECRET",
    "password='SECRET SECRET'", "token: SECRET", '{"key": "SECRET"}', "password=\nSECRET",
    "redis://:SECRET@cache", "x://a:SECRET@SECRET@host", "x://a:7,#SECRET@host", "x://a:80SECRET@host",
    "https://SECRET@host/a", '"access_token" : "SECRET"', "('x-api-key', 'SECRET')",
    "(b'authorization', b'Token SECRET')", "gsk_" + "SECRET" * 9, "xai-" + "SECRET" * 9,
    "pplx-" + "SECRET" * 9, "csk-" + "SECRET" * 9, "nvapi-SECRE_" + "SECRET" * 9,
    "tvly-dev-" + "SECRET" * 9, "?sig=" + "SECRET" * 9, "&X-Amz-Signature=" + "SECRET" * 9,
    "-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: x\nSECRET\nSECRET\n-----END",
)  # fmt: skip
ORDINARY = (
    "ada@example.com", "https://host/path@v1", "https://host:8080/path@v1", "http://[::1]:80/a@b",
    "https://example.com,ada@example.com", '{"url":"http://h:80","to":"ada@example.com"}',
    "https://host?to=ada@example.com", "ssh://git@host/x", "xai-grok-4-fast-reasoning",
    "expected one of ('key', 'value')", "BEGIN PUBLIC KEY-----\nabc", "token = next(tokens)",
    "-----END PRIVATE KEY-----\nwhat follows", "signature=(a, b)", '{"next_token" : null}',
    "expected -----BEGIN RSA PRIVATE KEY----- in /etc/key.pem", "ssh://host:org/repo.git@v1",
    "http://host:{port}/npm/@scope/pkg",
)  # fmt: skip


def took_s(text: str) -> float:
    """Of the processor, at best: what else runs here makes it no shorter."""
    times = []
    for _ in range(5):
        began = time.thread_time()
        _SECRETS.sub("", text)
        times.append(time.thread_time() - began)
    return min(times)


@settings(max_examples=40, deadline=None)
@example(["eyJ", "aaaaaaaa", "-"])
@example(["://", "a:", "aaaaaaaa"])
@example(["password", "=", "'", "\\"])
@example(["://", ":", "a"])
@example(["://", "a:", "a", "@"])
@example(["https://", "aaaaaaaa"])
@example(["-----BEGIN ", "PRIVATE KEY-----", "-"])
@example(["('x-", "-"])
@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4))
def test_time_grows_as_the_text_does(pieces: Sequence[str]) -> None:
    """However often beginnings of secrets follow each other: 16 times the text takes 16 times as
    long, and not 256 times."""
    piece = "".join(pieces)
    once = piece * (2_000 // len(piece) + 1)
    assert took_s(once * 16) < 16 * 5 * max(took_s(once), 5e-5)


@pytest.mark.parametrize("text", ORDINARY)
def test_what_is_no_secret_stays(text: str) -> None:
    """Addresses of people, packages and servers, and names of models."""
    assert mask_secrets(f"{text} is {text}") == f"{text} is {text}"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("redis://:pw@cache:6379/0", "redis://[masked]@cache:6379/0"),
        ("a://u:p@w@db/x, b://u:pw@mq/c@d", "a://[masked]@db/x, b://[masked]@mq/c@d"),
        ("a://u:p@hb://u:p@h", "a://[masked]@hb://[masked]@h"),
        ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\n-----END PRIVATE KEY-----\nand on",
         "-----BEGIN PRIVATE KEY-----[masked]-----END PRIVATE KEY-----\nand on"),
    ],
)  # fmt: skip
def test_what_stands_around_a_secret_stays(text: str, told: str) -> None:
    """It says whose secret it is."""
    assert mask_secrets(text) == told


def test_a_key_of_many_lines_is_masked_though_it_begins_before_the_last_lines() -> None:
    """Where the text is cut in it."""
    key = f"-----BEGIN PRIVATE KEY-----\n{'SECRETSECRET' * 5}\n" + f"{'SECRET' * 10}\n" * 50
    text = "\n" * HEAD + key + "-----END PRIVATE KEY-----" + "\n." * ((TAIL - len(key) // 2) // 2)
    assert len(text) > HEAD + TAIL
    assert "SECR" not in mask_secrets(text)


@pytest.mark.parametrize("piece", ["eyJaaaaaaaa-", "lorem ipsum ", "a\n", "x"])
def test_of_a_long_text_both_ends_are_kept(piece: str) -> None:
    """No more is looked at, however long it is, and it is said how much is missing."""
    text = f"begin {piece * 1_000_000}\nend"
    told = mask_secrets(text)
    assert told.startswith("begin ")
    assert told.endswith("\nend")
    assert "characters left out" in told
    assert len(told) < HEAD + TAIL + AHEAD


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before_cut", range(-3, 24, 3))
def test_no_secret_gets_through_at_a_cut(secret: str, before_cut: int) -> None:
    """Wherever the text is cut, before the secret, in its name, or in it."""
    for at in (HEAD - before_cut, HEAD - before_cut - len(secret)):
        text = (". " * HEAD)[:at] + secret + " ." * (HEAD + TAIL)
        assert "SECR" not in mask_secrets(text)
        assert "SECR" not in masked_beginning(text, HEAD)
    for line in (secret, f"{secret}\n"):
        text = ". " * (HEAD + TAIL) + line + ("\n" + ". " * TAIL)[: TAIL - before_cut]
        assert "SECR" not in mask_secrets(text)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("before_cut", range(-3, 24, 3))
def test_no_secret_gets_through_in_a_value_that_is_quoted(secret: str, before_cut: int) -> None:
    """As of a chunk or of a state that an error names."""
    assert "SECR" not in quoted((". " * QUOTED)[: QUOTED - before_cut] + secret + " .")


def test_the_last_lines_are_whole() -> None:
    """The end of a stack trace begins with a line, not in a word, and has its secrets masked."""
    lines = [f"line {number} password={number}" for number in range(2_000)]
    told = mask_secrets("\n".join(lines)).splitlines()
    [mark] = [number for number, line in enumerate(told) if "left out" in line]
    kept = told[mark + 1 :]
    assert len(kept) == TAIL // len(f"{lines[-1]}\n")
    assert kept == [f"line {2_000 - len(kept) + n} password=[masked]" for n in range(len(kept))]
