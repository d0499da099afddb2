"""Token counts by OpenTelemetry's rule: the input includes cached tokens, the output reasoning.

Gemini's input includes what it read of its own tools, too, which is counted beside its prompt.

Of some sources the mapping knows that they count a part beside its whole, always or unless their
total is the sum of the wholes, or that only their total has it. Of others it shows: a part cannot
exceed its whole, and a total that is the sum of both was made by somebody who counts them apart.
"""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ingest.decode import to_numpy
from ingest.pairs import Flags, Pairs
from ingest.promote import counted_as
from ingest.senders import Senders
from ingest.vectors import nulls, where
from lake.mapping import AttributeMap


def whole_counts(
    columns: Mapping[str, pa.Array], own: Pairs, mapping: AttributeMap, senders: Senders
) -> dict[str, pa.Array]:
    """Input and output tokens with the parts that their sources left out, and reasoning."""
    read, written, reasoning = (
        pc.fill_null(columns[name], 0)
        for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    )
    cached = pc.add(read, written)
    columns = {**columns, "input_tokens": _with_tool_use(columns)}
    stated = pc.add(columns["input_tokens"], pc.fill_null(columns["output_tokens"], 0))
    rest = pc.subtract(columns["total_tokens"], stated)
    untold = _only_in_total(columns, rest, mapping, senders)
    rest = where(pc.is_null(untold), rest)
    both = pc.equal(rest, pc.add(cached, reasoning))
    of_input = pc.equal(rest, cached)
    of_output = pc.and_(pc.equal(rest, reasoning), pc.invert(of_input))
    summed = pc.fill_null(pc.equal(rest, 0), fill_value=False)
    whole = {
        name: _with_part(
            columns[name],
            part,
            pc.or_(left, both),
            counted_as("exclusive", name, own, mapping, senders),
            _unless(summed, counted_as("by_total", name, own, mapping, senders)),
        )
        for name, part, left in (
            ("input_tokens", cached, of_input),
            ("output_tokens", reasoning, of_output),
        )
    }
    if untold.null_count < len(untold):
        output = pc.add(pc.fill_null(columns["output_tokens"], 0), untold)
        whole["output_tokens"] = pc.coalesce(output, whole["output_tokens"])
        whole["reasoning_tokens"] = pc.coalesce(columns["reasoning_tokens"], untold)
    return whole


def _with_tool_use(columns: Mapping[str, pa.Array]) -> pa.Array:
    """Input tokens with what their source counts beside them of tools that the model's host ran."""
    whole, part = columns["input_tokens"], columns["tool_use_tokens"]
    return whole if part.null_count == len(part) else pc.add(whole, pc.fill_null(part, 0))


def _only_in_total(
    columns: Mapping[str, pa.Array], rest: pa.Array, mapping: AttributeMap, senders: Senders
) -> pa.Array:
    """Reasoning that nothing but the total has, of senders whose total is known to; else NULL."""
    untold = nulls(len(rest)).cast(rest.type)
    for sender in mapping.senders:
        if sender.rest_is_reasoning and (ours := senders.of(sender.name)) is not None:
            silent = pc.and_(pa.array(ours), pc.is_null(columns["reasoning_tokens"]))
            untold = pc.coalesce(untold, where(pc.and_(silent, pc.greater(rest, 0)), rest))
    return untold


def _unless(summed: pa.Array, flags: Flags | None) -> Flags | None:
    return None if flags is None else flags & ~to_numpy(summed, np.bool_)


def _with_part(whole: pa.Array, part: pa.Array, left: pa.Array, *apart: Flags | None) -> pa.Array:
    """With its part where that exceeds it, is what a total leaves, or is known to be apart."""
    left_out = pc.or_(pc.greater(part, whole), pc.fill_null(left, fill_value=False))
    for flags in apart:
        if flags is not None:
            left_out = pc.or_(left_out, pa.array(flags))
    return pc.if_else(left_out, pc.add(whole, part), whole)
