"""How a record ended: its outcome, the reason, and the error.

In the order in which they are believed: what the sender states; an interrupt, by the class of the
error, which libraries report as OK or as a failure; a finish reason that means a cut; what the
sender says in words of its own; the span's status; a call of which a whole response would have
told a finish reason or usage, and did not.
"""

from collections.abc import Callable, Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ingest.senders import Senders
from ingest.vectors import nulls, where
from lake.mapping import AttributeMap, Ending

MAX_ERROR_MESSAGE = 500
"""Characters; longer messages are cut."""

_OUTCOMES = pa.array(["success", "error", "interrupt"])
_WITH_OUTCOME = pa.array(["agent", "llm", "tool", "node"])
_CALLS = pa.array(["llm", "tool"])
_CREDENTIAL = r"(?i)\b(sk-[\w-]{12,}|bearer\s+[\w.~+/-]{12,}|(api[_-]?key|password)\s*[=:]\s*\S+)"
_RAISED = r"^(?P<name>[A-Za-z_][\w.]*)\("
"""How Python prints an exception."""

Columns = Mapping[str, pa.Array]


def span_outcome(
    columns: Columns, status: pa.Array, mapping: AttributeMap, senders: Senders
) -> dict[str, pa.Array]:
    """Outcome and reason of spans; NULL for what is no agent work."""
    by_error, why_error = _endings(columns["error_class"], mapping, _by_error)
    by_finish, why_finish = _endings(columns["finish_reason"], mapping, _by_finish)
    failed = pc.equal(status, "error")
    cut = _cut(columns, mapping, senders)
    interrupt = where(pc.equal(by_error, "interrupt"), by_error)
    derived = pc.coalesce(
        interrupt,
        by_finish,
        columns["reported_outcome"],
        where(failed, pa.repeat("error", len(failed))),
        cut,
        pa.scalar("success"),
    )
    counted = pc.is_in(columns["span_class"], _WITH_OUTCOME)
    outcome = pc.coalesce(_stated(columns), where(counted, derived))
    incomplete = where(pc.is_valid(cut), pa.repeat("incomplete", len(outcome)))
    return {
        "outcome": outcome,
        "outcome_reason": _reason(columns, outcome, why_error, why_finish, incomplete),
    }


def log_outcome(columns: Columns, mapping: AttributeMap) -> dict[str, pa.Array]:
    """Outcome and reason of log records: of a call it follows from the error, else it is stated."""
    by_error, why = _endings(columns["error_class"], mapping, _by_error)
    interrupt = where(pc.equal(by_error, "interrupt"), by_error)
    failed = pc.or_(pc.is_valid(columns["error_class"]), pc.is_valid(columns["error_message"]))
    call = pc.is_in(columns["span_class"], _CALLS)
    derived = where(call, pc.if_else(failed, "error", "success"))
    outcome = pc.coalesce(_stated(columns), interrupt, columns["reported_outcome"], derived)
    return {"outcome": outcome, "outcome_reason": _reason(columns, outcome, why)}


def presentable(message: pa.Array) -> pa.Array:
    """Secrets masked, then cut to `MAX_ERROR_MESSAGE`."""
    if message.null_count == len(message):
        return message
    masked = pc.replace_substring_regex(message, _CREDENTIAL, "[masked]")
    return pc.utf8_slice_codeunits(masked, 0, MAX_ERROR_MESSAGE)


def class_in(error_class: pa.Array, message: pa.Array) -> pa.Array:
    """The class of an error; where it only says Exception, the one that the message begins with.

    LangSmith knows an error as the text that Python prints, and records it again.
    """
    vague = pc.fill_null(pc.equal(error_class, "Exception"), fill_value=False)
    if not pc.any(vague).as_py():
        return error_class
    named = pc.struct_field(pc.extract_regex(where(vague, message), _RAISED), "name")
    return pc.coalesce(named, error_class)


def _stated(columns: Columns) -> pa.Array:
    return where(pc.is_in(columns["outcome"], _OUTCOMES), columns["outcome"])


def _reason(columns: Columns, outcome: pa.Array, *reasons: pa.Array) -> pa.Array:
    """As stated; else why it did not end well."""
    found = pc.coalesce(*reasons)
    return pc.coalesce(columns["outcome_reason"], where(pc.not_equal(outcome, "success"), found))


def _cut(columns: Columns, mapping: AttributeMap, senders: Senders) -> pa.Array:
    """What a call is that has neither a finish reason nor usage, though its sender tells them.

    NULL for one that has either, or of a sender that does not always tell.
    """
    silent = pc.and_(
        pc.is_null(columns["finish_reason"]),
        pc.and_(pc.is_null(columns["input_tokens"]), pc.is_null(columns["output_tokens"])),
    )
    cut = nulls(len(silent))
    for sender in mapping.senders:
        if sender.finishes and (ours := senders.of(sender.name)) is not None:
            tells = pc.is_in(columns["operation"], pa.array(sender.finishes))
            unfinished = pc.and_(pa.array(ours), pc.and_(tells, silent))
            cut = pc.if_else(unfinished, sender.cut, cut)
    return cut


def _endings(
    said: pa.Array, mapping: AttributeMap, ending_of: Callable[[AttributeMap, str], Ending | None]
) -> tuple[pa.Array, pa.Array]:
    """Outcome and reason by what was said, which is the same few texts again and again."""
    if said.null_count == len(said):
        return nulls(len(said)), nulls(len(said))
    encoded = said.dictionary_encode()
    found = [ending_of(mapping, text) for text in encoded.dictionary.to_pylist()]
    outcomes = pa.array([ending and ending.outcome for ending in found], pa.string())
    reasons = pa.array([ending and ending.reason for ending in found], pa.string())
    return outcomes.take(encoded.indices), reasons.take(encoded.indices)


def _by_error(mapping: AttributeMap, error: str) -> Ending | None:
    return mapping.ending_of_error(error.rpartition(".")[2])


def _by_finish(mapping: AttributeMap, finish: str) -> Ending | None:
    return mapping.ending_of_finish(finish)
