"""The mapping that ships is whole, and documented; one with a fault is refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lake import known_attributes
from lake.docs import reference
from lake.mapping import UNITS, Kind, Source
from lake.mapping_file import SHIPPED, read_mapping, source_of
from lake.schema import MAPPED
from lake.toml_entry import MappingError

SMALLEST = """
[dialects]
d = "a dialect"
[senders]
s = { match = [{ scope = "x*" }] }
[columns]
tenant_id = [{ attribute = "a", dialect = "d" }]
[[kinds]]
span_class = "llm"
dialect = "d"
names = ["chat"]
[first_token_events]
[identity]
[providers]
"""


def refusal(text: str) -> str:
    with pytest.raises(MappingError) as error:
        read_mapping(text + "\n[[endings]]\noutcome = 'error'\nreason = 'x'\n")
    return str(error.value)


def test_every_column_that_is_taken_from_attributes_has_a_source() -> None:
    """And no other column has one: what the writer derives is not also read."""
    assert {source.column for source in SHIPPED.sources} == set(MAPPED)


@pytest.mark.parametrize("column", MAPPED)
def test_no_source_stands_twice(column: str) -> None:
    """Under the same conditions: a second one would never be asked."""
    asked = [(s.on, s.event, s.key, s.sender, s.unless, s.when) for s in SHIPPED.of(column)]
    assert len(asked) == len(set(asked))


@pytest.mark.parametrize("column", MAPPED)
def test_a_source_without_a_condition_comes_last_of_its_attribute(column: str) -> None:
    """One of the same attribute after it would never be asked."""
    taken: set[tuple[str, str, str]] = set()
    for source in SHIPPED.of(column):
        place = (source.on, source.event, source.key)
        assert place not in taken, source
        if not (source.sender or source.unless or source.when or source.values or source.ignore):
            taken.add(place)


def test_resource_sources_come_last() -> None:
    """The record knows better than its resource, hearsay least; the writer relies on that order."""
    order = {"record": 0, "event": 1, "body": 2, "name": 3, "resource": 4, "hearsay": 5}
    for column in MAPPED:
        places = [order[source.said] for source in SHIPPED.of(column)]
        assert places == sorted(places), column


def test_an_operation_is_of_one_class() -> None:
    """Two dialects that mean different work by one word could not be told apart."""
    classes: dict[tuple[str, str], str] = {}
    for kind in SHIPPED.kinds:
        for by in [kind.by] if kind.by else ["operation", "name"]:
            assert classes.setdefault((kind.name, by), kind.span_class) == kind.span_class


def test_names_of_spans_that_decide_are_not_everyday_words() -> None:
    """A span named `task` or `chat` may be anybody's; one with a dotted name is its library's."""
    for kind in SHIPPED.kinds:
        if kind.by != "operation":
            assert "." in kind.name or "_" in kind.name


def test_every_source_is_documented() -> None:
    """The reference page leaves nothing out."""
    page = reference()
    for source in SHIPPED.sources:
        assert f"`{source.attribute}`" in page
        assert source.note in page
    for kind in SHIPPED.kinds:
        assert f"| `{kind.name}` |" in page
    for dialect, where_from in SHIPPED.dialects.items():
        assert f"| {dialect} | {where_from} |" in page


def test_known_attributes_are_all_that_the_mapping_reads() -> None:
    """Also those that only decide; not the paths within a JSON object, which is one attribute."""
    known = known_attributes()
    assert {"gen_ai.usage.input_tokens", "metadata", "openinference.span.kind"} <= known
    assert not any("\x00" in name for name in known)


def test_rows_of_the_user_come_first() -> None:
    """Their order among each other is kept; what ships is tried after them."""
    mine = [Source("tenant_id", "customer.id"), Source("tenant_id", "customer")]
    mapping = SHIPPED.with_rows(mine, [Kind("chat", "node")])
    assert mapping.of("tenant_id")[:2] == tuple(mine)
    assert mapping.of("tenant_id")[2:] == SHIPPED.of("tenant_id")
    by, names, classes = mapping.classes[0]
    assert (by, names.to_pylist(), classes.to_pylist()) == ("operation", ["chat"], ["node"])
    assert "customer.id" in mapping.known_attributes()


def test_the_smallest_mapping() -> None:
    """One column, one source, one kind."""
    mapping = read_mapping("endings = []" + SMALLEST)
    assert [source.attribute for source in mapping.of("tenant_id")] == ["a"]


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        (
            "tenant_id",
            "tenant",
            (
                "columns.tenant[0]: no column 'tenant' is taken from attributes; "
                "did you mean tenant_id?"
            ),
        ),
        ('attribute = "a"', 'atribute = "a"', "columns.tenant_id[0].attribute is missing; add it"),
        ('attribute = "a"', "attribute = 5", "columns.tenant_id[0].attribute = 5 must be a text"),
        (
            'attribute = "a"',
            'attribute = ""',
            "columns.tenant_id[0].attribute is empty; name the attribute",
        ),
        (
            '"a", ',
            '"a", colour = "red", ',
            "columns.tenant_id[0].colour is no known key; take it out",
        ),
        (
            '"a", ',
            '"a", on = "scope", ',
            (
                "columns.tenant_id[0].on = 'scope' must be one of record, resource, event, "
                "name, body"
            ),
        ),
        (
            '"a", ',
            '"a", on = "event", ',
            (
                'columns.tenant_id[0]: `event` names the event of on = "event" or "body", '
                "and only that"
            ),
        ),
        (
            '"a", ',
            '"a", on = "body", event = "e", ',
            (
                "columns.tenant_id[0]: of a body name a member; "
                'write attribute = "body", member = "…"'
            ),
        ),
        (
            '"a", ',
            '"a", unit = "s", ',
            (
                "columns.tenant_id[0].unit: 's' cannot become tenant_id; "
                "tenant_id has no unit to convert"
            ),
        ),
        (
            '"a", ',
            '"a", on = "resource", hearsay = true, ',
            (
                "columns.tenant_id[0]: hearsay is said of attributes of a record, for "
                "tenant_id, user_id, thread_id, run_id, agent_name, feature"
            ),
        ),
        (
            '"a", ',
            '"a", cached = "exclusive", ',
            "columns.tenant_id[0]: cached is said of input_tokens only",
        ),
        (
            '"a", ',
            '"a", reasoning = "exclusive", ',
            "columns.tenant_id[0]: reasoning is said of output_tokens only",
        ),
        ('"a", ', '"a", sender = "nobody", ', "columns.tenant_id: no sender 'nobody' in [senders]"),
        ('"a", ', '"a", when = { b = 1 }, ', "columns.tenant_id[0].when: 1 must be a text"),
        ('dialect = "d" }]', 'dialect = "e" }]', "columns.tenant_id: no dialect 'e'"),
        (
            'dialect = "d" }]',
            'dialect = "d" }, { attribute = "a", dialect = "d" }]',
            "columns.tenant_id: 'a' stands there twice",
        ),
        (
            '"llm"',
            '"model"',
            "kinds[0].span_class = 'model' must be one of agent, llm, tool, node, other",
        ),
        ('scope = "x*"', "", "senders.s.match fits everything; give a scope or a name"),
        (
            '"x*" }]',
            '"x*" }], tells = ["id"]',
            "senders.s.tells 'id' must be one of finish_reason, usage, ok, unset, nothing",
        ),
        (
            'scope = "x*"',
            'scope = "x*", before = "2.x"',
            "senders.s.match.before = '2.x' must be numbers with dots, of a scope",
        ),
        (
            'scope = "x*"',
            'scope = "x*", since = "v2"',
            "senders.s.match.since = 'v2' must be numbers with dots, of a scope",
        ),
        (
            'scope = "x*"',
            'name = "x*", before = "2.1"',
            "senders.s.match.before = '2.1' must be numbers with dots, of a scope",
        ),
        (
            "[providers]",
            "[providers]\nrenames = {}",
            "providers.renames is no known key; take it out",
        ),
    ],
)
def test_what_is_wrong_is_named(was: str, becomes: str, message: str) -> None:
    """A fault is told by place, value and remedy, in one line."""
    assert refusal(SMALLEST.replace(was, becomes, 1)) == message


@pytest.mark.parametrize(
    ("endings", "message"),
    [
        (
            "outcome = 'success'\nreason = 'human'",
            "endings[0].reason says why it did not end well; give it to nothing else",
        ),
        (
            "outcome = 'error'",
            "endings[0].reason says why it did not end well; give it to nothing else",
        ),
        (
            "outcome = 'error'\nreason = 'timeout'\nspan_class = ['model']",
            "endings[0].span_class 'model' must be one of agent, llm, tool, node, other",
        ),
        (
            (
                "outcome = 'error'\nreason = 'a'\nerrors = ['E']\n"
                "[[endings]]\noutcome = 'error'\nreason = 'b'\nerrors = ['E']"
            ),
            "endings[1]: 'E' stands there twice",
        ),
    ],
)
def test_an_ending_that_makes_no_sense_is_named(endings: str, message: str) -> None:
    """A reason belongs to what did not end well, and an error means one thing of one class."""
    text = SMALLEST.replace("endings = []", "")
    assert refusal(f"{text}\n[[endings]]\n{endings}\n") == message


entries = st.dictionaries(
    st.sampled_from(["attribute", "on", "event", "member", "unit", "sender", "unless", "when",
                     "take", "values", "ignore", "cached", "reasoning", "dialect", "note", "odd"]),
    st.one_of(st.text(max_size=8), st.integers(), st.booleans(), st.lists(st.text(max_size=4)),
              st.sampled_from(["record", "resource", "event", "s", "ms", "first", "exclusive"]),
              st.dictionaries(st.text(max_size=4), st.text(max_size=4) | st.integers())),
    max_size=6,
)  # fmt: skip


@given(st.sampled_from([*MAPPED, "span_class", ""]), entries)
def test_any_row_is_a_source_or_refused_in_one_line(column: str, entry: dict[str, object]) -> None:
    """Nothing that a file can say ends in anything else."""
    try:
        source = source_of(column, entry, "mapping[0]")
    except MappingError as refused:
        told = str(refused)
    else:
        told = "mapping[0]"
        assert (source.column, source.attribute) == (column, entry["attribute"])
        units = UNITS.get(MAPPED[column].unit, {})
        assert source.scale == units.get(str(entry.get("unit", "")), 1.0)
    assert told.startswith("mapping[0]")
    assert "\n" not in told
