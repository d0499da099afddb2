"""How a record ended: its outcome, the reason, and the error.

In the order in which they are believed: what the sender states; what was raised but is no failure,
an interrupt or a jump, which libraries report as OK or as an error; a finish reason that means a
cut; the HTTP status that a server answered with; what the sender says in words of its own; the
span's status; an error that a call without a status tells, and no answer; a call without the signs
that its sender gives of every whole response.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from ingest.privacy.masking import masked
from ingest.senders import Senders
from ingest.vectors import matches, nulls, where
from lake.mapping import AttributeMap, Ending

MAX_ERROR_MESSAGE = 500
"""Characters; longer messages are cut."""

_WITH_OUTCOME = pa.array(["agent", "llm", "tool", "node"])
_CALLS = pa.array(["llm", "tool"])
_ANSWER = ("response_id", "finish_reason", "input_tokens", "output_tokens")
"""What only an answer says."""
_RAISED = r"^(?P<name>[A-Za-z_][\w.]*)\("
"""How Python prints an exception."""
_EXCEPTION = r"(^|\.)exception$"
"""OpenTelemetry's events of it: `exception`, `gen_ai.client.operation.exception`."""
_SERVER_ERROR = r"^5\d\d$"
_PRINTED_CLASS = r"^<class '(?P<name>[\w.]+)'>$"

_LAST_NAME = re.compile(r"(?P<name>\w+)\Z")

Columns = Mapping[str, pa.Array]
ByClass = Mapping[str, Mapping[str, Ending]]


def span_outcome(
    columns: Columns, status: pa.Array, kind: pa.Array, mapping: AttributeMap, senders: Senders
) -> dict[str, pa.Array]:
    """Outcome and reason of spans; NULL for what is no agent work and says nothing of a bad end.

    A server's span, which may be the root of a run, tells if it was interrupted or answered an
    error; so does any other that its sender says it of.
    """
    stated, why_stated = _stated(columns, mapping)
    by_error, why_error = _by_error(columns, mapping)
    by_finish, why_finish = _by_finish(columns, mapping)
    failed = _failed(columns, status, mapping, senders)
    cut = _cut(columns, status, mapping, senders)
    served = pc.equal(kind, "server")
    by_answer, why_answer = _by_answer(columns, served, mapping)
    raised = _whatever_the_status(by_error)
    told = pc.coalesce(
        raised,
        by_finish,
        by_answer,
        columns["reported_outcome"],
        where(pc.or_(failed, _unanswered(columns, status)), pa.repeat("error", len(failed))),
    )
    # A request that was refused has no sign of a whole response, and nothing of it was cut.
    cut = where(pc.is_null(told), cut)
    derived = pc.coalesce(told, cut, pa.scalar("success"))
    counted = pc.is_in(columns["span_class"], _WITH_OUTCOME)
    left = where(pc.and_(served, pc.equal(raised, "interrupt")), raised)
    reported = columns["reported_outcome"]
    bad = where(pc.not_equal(reported, "success"), pc.coalesce(raised, reported))
    outcome = pc.coalesce(stated, where(counted, derived), left, by_answer, bad)
    # What a server's own failure is called, 500 or 503, is of a call the provider's.
    unsaid = pc.and_(
        pc.invert(counted), pc.fill_null(pc.equal(by_answer, "error"), fill_value=False)
    )
    why_error = where(pc.invert(unsaid), why_error)
    incomplete = where(pc.is_valid(cut), pa.repeat("incomplete", len(outcome)))
    return {
        "outcome": outcome,
        "outcome_reason": _reason(
            columns, outcome, why_stated, why_error, why_finish, why_answer, incomplete
        ),
    }


def log_outcome(columns: Columns, event: pa.Array, mapping: AttributeMap) -> dict[str, pa.Array]:
    """Outcome and reason of log records: of a call it follows from the error, else it is stated.

    A record that tells the finish reason of a response that was cut short says so of it, and one
    that tells what was raised says so of its span.
    """
    stated, why_stated = _stated(columns, mapping)
    by_error, why = _by_error(columns, mapping)
    by_finish, why_finish = _by_finish(columns, mapping)
    raised = _whatever_the_status(by_error)
    failed = _tells_error(columns)
    call = pc.is_in(columns["span_class"], _CALLS)
    told = pc.and_(failed, matches(event, _EXCEPTION))
    derived = pc.coalesce(
        where(call, pc.if_else(failed, "error", "success")),
        where(told, pa.repeat("error", len(told))),
    )
    outcome = pc.coalesce(stated, raised, by_finish, columns["reported_outcome"], derived)
    reason = _reason(columns, outcome, why_stated, why, why_finish)
    return {"outcome": outcome, "outcome_reason": reason}


def presentable(message: pa.Array) -> pa.Array:
    """Secrets masked, then cut to `MAX_ERROR_MESSAGE`."""
    if message.null_count == len(message):
        return message
    return pc.utf8_slice_codeunits(masked(message), 0, MAX_ERROR_MESSAGE)


def class_in(error_class: pa.Array, message: pa.Array) -> pa.Array:
    """The class of an error, its name only; where it only says Exception, the one in the message.

    Semantic Kernel sends a class as Python prints it. LangSmith knows an error as the text that
    Python prints, which begins with the class, and records it again.
    """
    if error_class.null_count == len(error_class):
        return error_class
    if pc.any(pc.match_substring(error_class, "<class ")).as_py():
        named = pc.struct_field(pc.extract_regex(error_class, _PRINTED_CLASS), "name")
        error_class = pc.coalesce(named, error_class)
    vague = pc.fill_null(pc.equal(error_class, "Exception"), fill_value=False)
    if not pc.any(vague).as_py():
        return error_class
    named = pc.struct_field(pc.extract_regex(where(vague, message), _RAISED), "name")
    return pc.coalesce(named, error_class)


def _stated(columns: Columns, mapping: AttributeMap) -> tuple[pa.Array, pa.Array]:
    """What the sender states, in whichever of the known words, in upper or lower case."""
    outcome, span_class = columns["outcome"], columns["span_class"]
    return _endings(outcome, span_class, mapping.endings_as_said, lambda said: said.lower())


def _reason(columns: Columns, outcome: pa.Array, *reasons: pa.Array) -> pa.Array:
    """As stated; else why it did not end well."""
    found = pc.coalesce(*reasons)
    return pc.coalesce(columns["outcome_reason"], where(pc.not_equal(outcome, "success"), found))


def _cut(columns: Columns, status: pa.Array, mapping: AttributeMap, senders: Senders) -> pa.Array:
    """What a call is that has no sign of a whole response, though its sender always gives one.

    NULL for one that has any, or of a sender that does not always tell. Of several senders that a
    record is of the last counts.
    """
    silence = {
        "finish_reason": _none_of(columns, "finish_reason"),
        "usage": _none_of(columns, "input_tokens", "output_tokens"),
        "ok": pc.not_equal(status, "ok"),
        "unset": pc.not_equal(status, "unset"),
        "nothing": pc.invert(_none_of(columns, *_ANSWER)),
    }
    cut = nulls(len(status))
    for sender in mapping.senders:
        if sender.finishes and (ours := senders.of(sender.name)) is not None:
            tells = pc.is_in(columns["operation"], pa.array(sender.finishes))
            silent = reduce(pc.and_, (silence[sign] for sign in sender.tells))
            unfinished = pc.and_(pa.array(ours), pc.and_(tells, silent))
            cut = pc.if_else(unfinished, sender.cut, cut)
    return cut


def _failed(
    columns: Columns, status: pa.Array, mapping: AttributeMap, senders: Senders
) -> pa.Array:
    """Which spans failed by their status, or by an error beside an OK said before the end."""
    failed = pc.equal(status, "error")
    for sender in mapping.senders:
        if not sender.ok_is_final and (ours := senders.of(sender.name)) is not None:
            late = pc.and_(pc.equal(status, "ok"), _tells_error(columns))
            failed = pc.or_(failed, pc.and_(pa.array(ours), late))
    return failed


def _unanswered(columns: Columns, status: pa.Array) -> pa.Array:
    """Which model and tool calls have no status, and tell an error but nothing of an answer.

    LangChain4j in Quarkus records what was raised and sets no status. Of a call that has an answer
    too, the error may be that of an earlier try.
    """
    told = _tells_error(columns)
    if not pc.any(told).as_py():
        return told
    call = pc.and_(pc.is_in(columns["span_class"], _CALLS), pc.equal(status, "unset"))
    no_answer = _none_of(columns, *_ANSWER)
    return pc.and_(told, pc.and_(pc.fill_null(call, fill_value=False), no_answer))


def _tells_error(columns: Columns) -> pa.Array:
    """Where there is a class of an error, or what it said."""
    return pc.or_(pc.is_valid(columns["error_class"]), pc.is_valid(columns["error_message"]))


def _none_of(columns: Columns, *names: str) -> pa.Array:
    """Where all of these columns are NULL."""
    return reduce(pc.and_, (pc.is_null(columns[name]) for name in names))


def _by_error(columns: Columns, mapping: AttributeMap) -> tuple[pa.Array, pa.Array]:
    error, span_class = columns["error_class"], columns["span_class"]
    return _endings(error, span_class, mapping.endings_by_error, _unqualified)


def _by_finish(columns: Columns, mapping: AttributeMap) -> tuple[pa.Array, pa.Array]:
    finish, span_class = columns["finish_reason"], columns["span_class"]
    return _endings(finish, span_class, mapping.endings_by_finish, lambda said: said.lower())


def _by_answer(
    columns: Columns, served: pa.Array, mapping: AttributeMap
) -> tuple[pa.Array, pa.Array]:
    """Of servers, by the HTTP status: one that means an interrupt, or that the server failed."""
    answer = columns["http_status"]
    if answer.null_count == len(answer):
        return nulls(len(answer)), nulls(len(answer))
    answer = where(served, answer)
    known, why = _endings(answer, columns["span_class"], mapping.endings_by_error)
    left = pc.equal(known, "interrupt")
    failed = where(matches(answer, _SERVER_ERROR), pa.repeat("error", len(answer)))
    return pc.coalesce(where(left, known), failed), where(left, why)


def _whatever_the_status(by_error: pa.Array) -> pa.Array:
    """The outcomes that an error gives for itself: one that means a failure may be dealt with."""
    return where(pc.not_equal(by_error, "error"), by_error)


def _endings(
    said: pa.Array, span_class: pa.Array, known: ByClass, name_in: Callable[[str], str] = str
) -> tuple[pa.Array, pa.Array]:
    """Outcome and reason by what was said, which is the same few texts again and again."""
    if said.null_count == len(said):
        return nulls(len(said)), nulls(len(said))
    encoded = said.dictionary_encode()
    names = [name_in(text) for text in encoded.dictionary.to_pylist()]
    outcome, reason = (column.take(encoded.indices) for column in _meant(names, known.get("", {})))
    for of_class, endings in known.items():
        if of_class and not endings.keys().isdisjoint(names):
            meant = [column.take(encoded.indices) for column in _meant(names, endings)]
            ours = pc.and_(pc.is_valid(meant[0]), pc.equal(span_class, of_class))
            outcome, reason = (
                pc.if_else(ours, own, general)
                for own, general in zip(meant, (outcome, reason), strict=True)
            )
    return outcome, reason


def _meant(names: Sequence[str], endings: Mapping[str, Ending]) -> tuple[pa.Array, pa.Array]:
    found = [endings.get(name) for name in names]
    return (
        pa.array([ending and ending.outcome for ending in found], pa.string()),
        pa.array([(ending and ending.reason) or None for ending in found], pa.string()),
    )


def _unqualified(error: str) -> str:
    """The name of a class without its module: a.B, a::B, a.Outer$B."""
    name = _LAST_NAME.search(error)
    return name["name"] if name else error
