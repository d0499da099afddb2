"""Rows of the user in quietpager.toml that `lake.mapping` has before those that ship."""

from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, ValidationInfo, field_validator, model_validator

from cli.strict import STRICT


class MappingRow(BaseModel):
    """An attribute of your own that a column is taken from, tried before those that ship
    (docs/reference/columns.md); of several for one column the first with a value wins. What a
    record says itself comes before its span events, and those before its resource.
    """

    model_config = STRICT

    column: str
    """The column, e.g. tenant_id."""
    attribute: Annotated[str, Field(min_length=1)]
    """The attribute's name, e.g. customer.id; of a JSON log line the key."""
    on: Literal["record", "resource", "event"] = "record"
    """Whose attribute it is: the span's, log record's or data point's, the resource's, or that of
    a span event."""
    event: Annotated[str | None, Field(min_length=1)] = None
    """With `on = "event"` the name of the span event; its last one counts."""
    member: Annotated[str | None, Field(min_length=1)] = None
    """The attribute is a JSON object, and this the path of the member in it, e.g. customer.id."""
    unit: str | None = None
    """The attribute's unit where it is not the column's: s, ms, us or ns for a column of
    milliseconds, micro-USD for one of dollars."""
    scope: Annotated[str | None, Field(min_length=1)] = None
    """Only from this instrumentation scope; a * at the end stands for anything."""

    @field_validator("column")
    @classmethod
    def _is_taken_from_attributes(cls, column: str) -> str:
        from lake.mapping_file import refuse_unmapped

        refuse_unmapped(column)
        return column

    @field_validator("unit")
    @classmethod
    def _can_be_converted(cls, unit: str | None, info: ValidationInfo) -> str | None:
        from lake.mapping_file import scale_of

        if unit is not None and (column := info.data.get("column")) is not None:
            scale_of(column, unit)
        return unit

    @model_validator(mode="after")
    def _fits_its_place(self) -> Self:
        if (self.on == "event") != (self.event is not None):
            raise ValueError('event names the span event of on = "event"; give both or neither')
        if self.on != "record" and self.scope is not None:
            raise ValueError(f'scope is a condition of on = "record", not of {self.on!r}')
        return self


class KindRow(BaseModel):
    """What work an operation or a name of your own is, told before what ships says."""

    model_config = STRICT

    name: Annotated[str, Field(min_length=1)]
    """The operation (gen_ai.operation.name), or the name of a span or the event of a log line."""
    span_class: Literal["agent", "llm", "tool", "node", "other"]
    """What it is: agent is a whole request, node a step of it, llm and tool are calls."""
    by: Literal["operation", "name"] | None = None
    """Which of the two is meant; either when left out."""
