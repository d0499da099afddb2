"""What a receiver can be told."""

from dataclasses import dataclass, fields
from pathlib import Path

MIB = 1024 * 1024


@dataclass(frozen=True)
class ReceiverSettings:
    """Where the receiver listens, where it stores, and its limits. Port 0 lets the OS choose.

    `max_body_bytes` bounds one request before and after decompression, `max_in_flight_bytes`
    all requests held in memory at one time. `journal_budget_bytes` bounds what may wait for the
    writer, all signals together; `min_free_bytes` stays free on the disk, because the writer
    needs room to empty the journal. Over either, senders are asked to come back.
    """

    data: Path
    http_host: str = "127.0.0.1"
    http_port: int = 4318
    grpc_host: str = "127.0.0.1"
    grpc_port: int = 4317
    max_body_bytes: int = 64 * MIB
    max_in_flight_bytes: int = 256 * MIB
    body_timeout_seconds: float = 30.0
    drain_timeout_seconds: float = 10.0
    segment_seconds: float = 1.0
    segment_bytes: int = 12 * MIB
    journal_budget_bytes: int = 4096 * MIB
    min_free_bytes: int = 256 * MIB

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name.endswith(("_bytes", "_seconds")) and value < 0:
                raise ValueError(f"{field.name} is {value}; it must not be negative")
        if self.max_in_flight_bytes < self.max_body_bytes:
            raise ValueError(
                f"max_in_flight_bytes {self.max_in_flight_bytes} is below max_body_bytes "
                f"{self.max_body_bytes}: the largest request could never be accepted"
            )
