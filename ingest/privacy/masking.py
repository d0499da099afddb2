"""Secrets in texts, and texts that are too long. Every distinct text is looked at once."""

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from ingest.privacy.table import CARD, anyone_of, content_table
from ingest.vectors import matches

MASK = "[masked]"
LONGEST_TEXT = 8192
"""Characters that are kept of a text nobody asked for by name."""
CUT = "… [cut]"

_MASKED = content_table().masked
_SECRET = anyone_of(pattern for name, pattern in _MASKED.items() if name != CARD)
# To replace, RE2 looks from every secret as far as an address could begin. Without an end to that
# a long text full of keys takes the square of its length. To find the first one it looks once.
_REPLACED = _SECRET.replace("]+@", "]{1,256}@", 1)
# Of "password=hunter2" the name stays: those are the only groups.
_MASKED_WHERE = rf"\1\2\3{MASK}"
# Digits behind a point and those within an id in hexadecimal are met far more often than cards are.
_LIKE_A_CARD = rf"(?:^|[^\w.]){_MASKED[CARD]}"
_CARD = re.compile(rf"(?<![\w.]){_MASKED[CARD]}", re.ASCII)


def masked(texts: pa.Array) -> pa.Array:
    """The same texts, with `MASK` in place of every secret; the very array where there is none."""
    encoded = texts.dictionary_encode()
    distinct = encoded.dictionary
    secret, card = matches(distinct, _SECRET), matches(distinct, _LIKE_A_CARD)
    if pc.any(secret).as_py():
        replaced = pc.replace_substring_regex(distinct.filter(secret), _REPLACED, _MASKED_WHERE)
        distinct = pc.replace_with_mask(distinct, secret, replaced)
    if pc.any(card).as_py():
        without = [_without_cards(text) for text in distinct.filter(card).to_pylist()]
        distinct = pc.replace_with_mask(distinct, card, pa.array(without, pa.string()))
    return texts if distinct is encoded.dictionary else distinct.take(encoded.indices)


def masked_together(columns: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
    """The same of columns of names, which are few: to prepare the search takes longer than it."""
    encoded = {name: texts.dictionary_encode() for name, texts in columns.items()}
    before = pa.concat_arrays([each.dictionary for each in encoded.values()])
    after = masked(before)
    if after is before:
        return dict(columns)
    found: dict[str, pa.Array] = {}
    start = 0
    for name, each in encoded.items():
        names = after.slice(start, len(each.dictionary))
        start += len(names)
        same = names.equals(each.dictionary)
        found[name] = columns[name] if same else names.take(each.indices)
    return found


def cut(texts: pa.Array) -> pa.Array:
    """The same texts, none longer than `LONGEST_TEXT`; what was cut says so."""
    long = pc.fill_null(pc.greater(pc.binary_length(texts), LONGEST_TEXT), fill_value=False)
    if not pc.any(long).as_py():
        return texts
    whole = texts.filter(long)
    head = pc.utf8_slice_codeunits(whole, 0, LONGEST_TEXT)
    shortened = pc.if_else(
        pc.equal(pc.binary_length(head), pc.binary_length(whole)),
        whole,
        pc.binary_join_element_wise(head, CUT, ""),
    )
    return pc.replace_with_mask(texts, long, shortened)


def _without_cards(text: str) -> str:
    return _CARD.sub(lambda found: MASK if _check_digit_is_right(found[0]) else found[0], text)


def _check_digit_is_right(number: str) -> bool:
    """Luhn's formula (ISO/IEC 7812-1, annex B)."""
    digits = [int(digit) for digit in number if digit.isdigit()][::-1]
    return (sum(digits[::2]) + sum(sum(divmod(2 * digit, 10)) for digit in digits[1::2])) % 10 == 0
