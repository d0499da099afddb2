"""Names come from outside: how long and how many they may be, and what becomes of the rest."""

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from ingest.limits import IDENTITIES, LABELS, MAX_NAME, TOO_MANY, Labels, short, shortened


def stored(labels: Labels, **columns: list[str | None]) -> dict[str, Any]:
    return labels.bounded(pa.table(columns)).to_pydict()


@given(st.text(max_size=3 * MAX_NAME), st.text(max_size=3 * MAX_NAME))
def test_a_name_has_a_length_that_fits_and_stays_itself(one: str, other: str) -> None:
    """Two names are two after they were cut; one that fits is left alone."""
    assert len(short(one)) <= MAX_NAME
    assert (short(one) == short(other)) == (one == other)
    assert short(one) == one or len(one) > MAX_NAME
    columns = dict.fromkeys(IDENTITIES, pa.array([one, None, other]))
    assert shortened(columns)["tenant_id"].to_pylist() == [short(one), None, short(other)]


def test_names_beyond_the_bound_are_put_together() -> None:
    """Those met before stay; no row is lost, and none is without a name that had one."""
    labels = Labels(most=2)
    assert stored(labels, node=["a", None, "b", "c"])["node"] == ["a", None, "b", TOO_MANY]
    assert stored(labels, node=["c", "b", "d", "a"])["node"] == [TOO_MANY, "b", TOO_MANY, "a"]


def test_each_column_has_a_bound_of_its_own() -> None:
    """An id in the name of a node does not hide the tools."""
    labels = Labels(most=1)
    rows = stored(labels, node=["a", "b"], tool_name=["t", "t"], feature=[None, None])
    assert rows == {"node": ["a", TOO_MANY], "tool_name": ["t", "t"], "feature": [None, None]}


def test_who_pays_is_never_put_together() -> None:
    """Money, erasure and retention are a tenant's: each keeps its own name."""
    assert not {"tenant_id", "user_id", "thread_id", "run_id"} & set(LABELS)
    tenants = [f"t{n}" for n in range(50)]
    assert stored(Labels(most=1), tenant_id=tenants)["tenant_id"] == tenants


@given(st.lists(st.lists(st.one_of(st.none(), st.text(max_size=2)), max_size=8), max_size=6))
def test_memory_is_bounded_and_rows_are_not_lost(parts: list[list[str | None]]) -> None:
    """However many come: as many rows, at most so many names and the one of the rest."""
    labels = Labels(most=3)
    seen = [name for part in parts for name in
            stored(labels, node=pa.array(part, pa.string()))["node"]]  # fmt: skip
    assert len(seen) == sum(map(len, parts))
    assert len({name for name in seen if name} - {TOO_MANY}) <= 3
