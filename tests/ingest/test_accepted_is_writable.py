"""What the receiver accepts the writer can decode: one sender cannot spoil a shared segment."""

import random
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.decode import decode
from ingest.receive.decode import Format, decode_batch
from ingest.receive.refusal import Refusal
from ingest.receive.signals import LOGS, TRACES

FIXTURES = [
    path
    for path in sorted((Path(__file__).parents[1] / "fixtures" / "otlp").glob("*.pb"))
    if path.stat().st_size
]


def damaged(body: bytes, rng: random.Random) -> bytes:
    """The request with a few bytes changed, removed or put in."""
    changed = bytearray(body)
    for _ in range(rng.randint(1, 5)):
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                del changed[at : at + rng.randint(1, 3)]
            case 3:
                changed[at:at] = rng.randbytes(rng.randint(1, 3))
    return bytes(changed)


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
@settings(max_examples=25)
@given(seed=st.integers(0, 2**32))
def test_a_damaged_request_is_refused_or_decodable(path: Path, seed: int) -> None:
    """Real requests with any few bytes changed: two protobuf readers never disagree on them."""
    signal = LOGS if path.stem.startswith("logs_") else TRACES
    body = damaged(path.read_bytes(), random.Random(seed))
    try:
        batch = decode_batch(
            body, signal, Format.PROTOBUF, "", limit=10**8, received_unix_nano=time.time_ns()
        )
    except Refusal:
        return
    assert len(decode(signal.name, [batch.request], [1]).rows) == batch.verdict.kept
