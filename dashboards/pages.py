"""From an overview to HTML. Templates format and place; they compute no number."""

from dataclasses import dataclass
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader, StrictUndefined

from dashboards import format as human
from dashboards.overview import Overview
from dashboards.ranges import DEFAULT_RANGE, RANGES, RangeName
from dashboards.sparkline import draw


@dataclass(frozen=True, slots=True)
class Selection:
    """What the viewer looks at; ``tenant`` None is all tenants."""

    range: RangeName = DEFAULT_RANGE
    tenant: str | None = None

    def url(self, path: str) -> str:
        """The path with this selection as its query."""
        query = {"range": self.range.value} | ({"tenant": self.tenant} if self.tenant else {})
        return f"{path}?{urlencode(query)}"


@dataclass(frozen=True, slots=True)
class RangeChoice:
    """One link of the time range picker."""

    name: RangeName
    label: str
    url: str


@dataclass(frozen=True, slots=True)
class Endpoints:
    """HOST:PORT that spans are sent to, shown to those who have sent none."""

    otlp_http: str = "127.0.0.1:4318"
    otlp_grpc: str = "127.0.0.1:4317"


class Pages:
    """Renders whole pages, and the part of the overview that a refresh replaces."""

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._templates = Environment(
            loader=PackageLoader("dashboards"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters |= {
            "axis_time": human.axis_time,
            "clock": human.clock,
            "compact": human.compact,
            "count": human.count,
            "day_and_clock": human.day_and_clock,
            "day_and_minute": human.day_and_minute,
            "iso": human.iso,
            "limit": human.limit,
            "percent": human.percent,
            "percentile": human.percentile,
            "quantity": human.quantity,
            "span": human.span,
            "times": human.times,
            "usd": human.usd,
            "visible": human.visible,
        }
        self._templates.globals["draw"] = draw

    def overview(self, selection: Selection, overview: Overview) -> str:
        """The whole page."""
        return self._page(selection, "numbers.html", overview=overview)

    def overview_part(self, selection: Selection, overview: Overview) -> str:
        """What a refresh replaces."""
        return self._render("numbers.html", selection, overview=overview)

    def unreadable(self, selection: Selection, detail: str) -> str:
        """The whole page while the lake cannot be read; it goes on refreshing itself."""
        return self._page(selection, "unreadable.html", detail=detail)

    def failure(self, heading: str, detail: str) -> str:
        """A page that says what was wrong with the request."""
        return self._templates.get_template("failure.html").render(heading=heading, detail=detail)

    def _page(self, selection: Selection, body: str, **values: object) -> str:
        return self._render("overview.html", selection, body=body, **values)

    def _render(self, template: str, selection: Selection, **values: object) -> str:
        return self._templates.get_template(template).render(
            page_url=selection.url("/"),
            fragment_url=selection.url("/fragments/overview"),
            json_url=selection.url("/api/overview"),
            all_tenants_url=Selection(selection.range).url("/"),
            range_label=RANGES[selection.range].label,
            ranges=[
                RangeChoice(name, choice.label, Selection(name, selection.tenant).url("/"))
                for name, choice in RANGES.items()
            ],
            otlp_http=self._endpoints.otlp_http,
            otlp_grpc=self._endpoints.otlp_grpc,
            **values,
        )
