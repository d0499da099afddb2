"""How long a request waits before it is taken, so that the writer keeps up with the senders.

Receiver and writer share the processor, and a batch costs the receiver a third of what it costs
the writer. Senders that know no pace but ours would fill the journal, each batch that is
acknowledged taking the time in which an earlier one could have become queryable. A short wait
costs them little and is over as soon as the writer is near.
"""

from ingest.receive.settings import MIB

LONGEST_SECONDS = 0.15
"""Short enough for an exporter's deadline, and for its acknowledgement to stay a quarter second."""

_NEAR_BYTES = 32 * MIB
_FAR_BYTES = 160 * MIB


def pause_seconds(backlog_bytes: int) -> float:
    """How long to wait when so much of the journal waits for the writer.

    Nothing while the writer is near: a second or two behind is how it works. From there it rises
    with the backlog, so that it settles where senders and writer are equally fast.
    """
    behind = (backlog_bytes - _NEAR_BYTES) / (_FAR_BYTES - _NEAR_BYTES)
    return LONGEST_SECONDS * min(max(behind, 0.0), 1.0)
