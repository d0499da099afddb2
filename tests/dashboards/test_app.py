"""The routes over a real socket: pages, JSON, probes, and what is refused how."""

import concurrent.futures
import json
import math
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from google.protobuf import json_format
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from analytics import Analytics, load_slos
from analytics.alerts import AlertHistory
from dashboards import Endpoints, create_app
from lake import Lake
from tests.dashboards.agent_traffic import agent_run, model_call, table, tool_call
from tests.dashboards.serving import dashboard, served


class Elements(HTMLParser):
    """Every start tag of a page with its attributes, and all of its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        return (attributes for name, attributes in self.tags if name == tag)


def test_the_page_stands_without_scripts(client: httpx.Client) -> None:
    """Cards, tables, range links and the tenant form are all in the first answer."""
    answer = client.get("/")
    assert answer.status_code == 200
    page = Elements(answer.text)
    links = {link["href"] for link in page.all("a")}
    assert {f"/?range={name}" for name in ("15m", "1h", "6h", "24h", "7d", "30d")} <= links
    assert [form["method"] for form in page.all("form")] == ["get"]
    assert [option["value"] for option in page.all("option")] == [
        "", "acme", "globex", "initech", "umbrella",
    ]  # fmt: skip
    assert len(list(page.all("article"))) == 4
    for words in ("house-model-7b", "web_search", "Firing", "globex", "Breached", "Data as of"):
        assert words in page.text


@pytest.mark.parametrize("ttfb_ms", [1e308, math.inf, -math.inf, math.nan, 1e17])
def test_absurd_numbers_are_shown(ttfb_ms: float, tmp_path: Path) -> None:
    """No number in the data takes the page or its JSON down."""
    now = datetime.now(UTC)
    runs = [agent_run(n, now - timedelta(minutes=5)) for n in range(30)]
    for run in runs:
        run["ttfb_ms"] = ttfb_ms
    Lake(tmp_path / "lake").append("spans", table(runs, now), 1)
    with served(dashboard(tmp_path)) as url:
        page = httpx.get(url, timeout=30)
        answer = httpx.get(f"{url}/api/overview", timeout=30)
    assert (page.status_code, answer.status_code) == (200, 200)
    assert "First token" in page.text
    assert answer.json()["totals"]["runs"] == 30


def test_long_and_blank_names(tmp_path: Path) -> None:
    """A long name has its whole text for a pointer, a blank one is shown in quotes."""
    now = datetime.now(UTC)
    rows = []
    for number, tenant in enumerate(("x" * 300, "  ")):
        run = agent_run(number + 1, now - timedelta(minutes=5), tenant=tenant)
        rows += [run, model_call(run, 1, provider="openai", model="gpt-4o", tokens=(10, 1))]
    Lake(tmp_path / "lake").append("spans", table(rows, now), 1)
    with served(dashboard(tmp_path)) as url:
        page = Elements(httpx.get(url, timeout=30).text)
    titles = [name["title"] for name in page.all("bdi") if name["class"] == "name"]
    assert {"x" * 300, "  ", "gpt-4o"} == set(titles)
    assert '"  "' in page.text


def test_range_links_keep_the_tenant(client: httpx.Client) -> None:
    """Changing one picker does not reset the other."""
    page = Elements(client.get("/", params={"range": "6h", "tenant": "globex"}).text)
    assert "/?range=15m&tenant=globex" in {link["href"] for link in page.all("a")}
    hidden = [field for field in page.all("input") if field["type"] == "hidden"]
    assert [(field["name"], field["value"]) for field in hidden] == [("range", "6h")]
    picked = [option["value"] for option in page.all("option") if "selected" in option]
    assert picked == ["globex"]


def test_every_sparkline_has_its_numbers_in_a_table(client: httpx.Client) -> None:
    """Each drawing sits in a card with a table of the same points, newest first."""
    overview = client.get("/api/overview").json()
    text = client.get("/").text
    for card in overview["slos"]:
        html = re.search(rf'<article[^>]*id="slo-{card["name"]}".*?</article>', text, re.DOTALL)
        assert html is not None
        assert html[0].count("<table") == 1
        assert html[0].count('<th scope="row">') == len(card["series"])


def test_a_fragment_is_the_inside_of_the_page(client: httpx.Client) -> None:
    """A refresh brings the same numbers, without a second page around them."""
    fragment = client.get("/fragments/overview", params={"range": "6h"}).text
    assert "<html" not in fragment
    assert 'id="live"' not in fragment
    assert fragment.count("<h1") == 1
    assert "/fragments/overview?range=6h" in client.get("/", params={"range": "6h"}).text


@pytest.mark.parametrize("path", ["/", "/fragments/overview", "/api/overview", "/healthz", "/nope"])
def test_nothing_but_own_files_may_run(client: httpx.Client, path: str) -> None:
    """Every answer forbids inline and foreign code, framing and storing."""
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "style-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


def test_no_inline_code_and_nothing_from_elsewhere(client: httpx.Client) -> None:
    """The page has no inline script, style or handler, and names no other host."""
    page = Elements(client.get("/").text)
    for tag, attributes in page.tags:
        assert tag != "style"
        assert tag != "script" or attributes.get("src")
        assert not [name for name in attributes if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert not re.match(r"(\w+:)?//", attributes.get(name) or "")


def test_static_files_are_served_from_the_package(client: httpx.Client) -> None:
    """Whatever the page refers to is there."""
    page = Elements(client.get("/").text)
    sources = [tag["src"] for name in ("script", "img") for tag in page.all(name)]
    sources += [link["href"] for link in page.all("link")]
    assert sources
    for source in sources:
        assert source is not None
        answer = client.get(source)
        assert answer.status_code == 200, source
        assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("range=5y", ("range='5y'", "'15m'", "'30d'")),
        ("rnage=1h", ("rnage", "unknown parameter", "range, tenant")),
        ("tenant=" + "x" * 300, ("tenant=", "256")),
    ],
)
@pytest.mark.parametrize("path", ["/", "/fragments/overview", "/api/overview"])
def test_a_bad_parameter_is_one_clear_line(
    client: httpx.Client, path: str, query: str, words: tuple[str, ...]
) -> None:
    """The answer names the parameter, its value and what it may be; as JSON or as a page."""
    answer = client.get(f"{path}?{query}")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert all(word in error for word in words)
    assert "\n" not in error
    page = client.get(f"{path}?{query}", headers={"accept": "text/html"})
    assert page.status_code == 422
    assert all(word in Elements(page.text).text for word in words)
    assert "Traceback" not in page.text


def test_an_unknown_page_is_refused_in_the_asked_form(client: httpx.Client) -> None:
    """404 as JSON for programs, as a page with a way back for people."""
    assert client.get("/nope").json() == {"error": "Not Found"}
    page = client.get("/nope", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "Back to the overview" in page.text
    assert client.post("/").status_code == 405


def test_names_are_shown_and_never_run(tmp_path: Path) -> None:
    """A tenant, tool or model named like markup stays text, in the page and in its links."""
    evil = "<script>alert(1)</script>&\"'"
    now = datetime.now(UTC)
    run = agent_run(1, now - timedelta(minutes=1), tenant=evil)
    rows = [
        run,
        model_call(run, 1, provider="p", model=evil, tokens=(1, 1)),
        tool_call(run, 2, tool=evil),
    ]
    Lake(tmp_path / "lake").append("spans", table(rows, now), 1)
    with served(dashboard(tmp_path)) as url:
        answer = httpx.get(url, params={"tenant": evil}, timeout=30)
    assert answer.status_code == 200
    page = Elements(answer.text)
    assert page.text.count(evil) >= 3
    assert all(script.get("src") for script in page.all("script"))
    assert [option["value"] for option in page.all("option")] == ["", evil]


def test_the_empty_page_teaches_the_first_span(tmp_path: Path) -> None:
    """It shows the real endpoints and a command whose span is valid OTLP of an agent's run."""
    app = create_app(
        Analytics(Lake(tmp_path / "lake")),
        load_slos(None),
        AlertHistory(tmp_path / "alerts.sqlite"),
        endpoints=Endpoints("127.0.0.1:14318", "127.0.0.1:14317"),
    )
    with served(app) as url:
        page = Elements(httpx.get(url, timeout=30).text)
    assert "Send the first span" in page.text
    assert "127.0.0.1:14317" in page.text

    command = page.text[page.text.index("now=$(date") :].split("]}]}]}'")[0] + "]}]}]}'"
    target, body = re.fullmatch(
        r"(?s).*curl (\S+) -H 'Content-Type: application/json' -d (.*)", command
    ).groups()  # type: ignore[union-attr]
    assert target == "http://127.0.0.1:14318/v1/traces"
    shell = f"now=$(date +%s); printf %s {body}"
    sent = subprocess.run(["bash", "-c", shell], check=True, capture_output=True, text=True).stdout
    assert json.loads(sent)
    request = json_format.Parse(sent, ExportTraceServiceRequest())
    span = request.resource_spans[0].scope_spans[0].spans[0]
    assert span.end_time_unix_nano - span.start_time_unix_nano == 2_000_000_000
    assert abs(span.end_time_unix_nano / 1e9 - datetime.now(UTC).timestamp()) < 60
    attributes = {attribute.key: attribute.value for attribute in span.attributes}
    assert attributes["gen_ai.operation.name"].string_value == "invoke_agent"
    assert attributes["agent.ttfb_ms"].double_value == 420


def test_a_quiet_range_says_when_it_was_not(tmp_path: Path) -> None:
    """Old data is not taken for no data."""
    now = datetime.now(UTC)
    rows = table([agent_run(1, now - timedelta(hours=5))], now)
    Lake(tmp_path / "lake").append("spans", rows, 1)
    with served(dashboard(tmp_path)) as url:
        text = Elements(httpx.get(url, params={"range": "1h"}, timeout=30).text).text
    assert "Nothing happened in the last hour" in text
    assert "Send the first span" not in text


def test_probes(client: httpx.Client) -> None:
    """A readable lake is healthy and ready."""
    for path in ("/healthz", "/readyz"):
        answer = client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


def test_a_lake_that_does_not_exist_yet_is_ready(empty_url: str) -> None:
    """No data yet is a normal state."""
    assert httpx.get(f"{empty_url}/readyz", timeout=30).status_code == 200


def test_while_the_lake_cannot_be_read(tmp_path: Path) -> None:
    """Alive but not ready; page and JSON say why with 503, and recover by themselves."""
    now = datetime.now(UTC)
    lake = Lake(tmp_path / "lake")
    lake.append("spans", table([agent_run(1, now - timedelta(minutes=1))], now), 1)
    log_file = next((tmp_path / "lake" / "spans" / "_delta_log").glob("*.json"))
    good = log_file.read_text()
    log_file.write_text("{torn")
    with served(dashboard(tmp_path)) as url:
        assert httpx.get(f"{url}/healthz").status_code == 200
        for path in ("/readyz", "/api/overview", "/fragments/overview"):
            answer = httpx.get(f"{url}{path}", timeout=30)
            assert answer.status_code == 503, path
            assert "\n" not in answer.json()["error"]
        page = httpx.get(url, timeout=30)
        assert page.status_code == 503
        assert "The lake cannot be read" in page.text
        assert 'hx-trigger="every 10s' in page.text
        assert "Traceback" not in page.text

        log_file.write_text(good)
        assert httpx.get(f"{url}/readyz", timeout=30).status_code == 200
        assert httpx.get(url, timeout=30).status_code == 200


def test_many_viewers_at_once_see_one_evaluation(client: httpx.Client) -> None:
    """Viewers of the same page share an answer instead of asking the lake each."""
    with concurrent.futures.ThreadPoolExecutor(8) as viewers:
        answers = list(
            viewers.map(
                lambda _: client.get("/api/overview", params={"range": "6h"}).json(), range(8)
            )
        )
    assert len({answer["until"] for answer in answers}) == 1


def test_every_field_of_the_json_is_explained(client: httpx.Client) -> None:
    """The OpenAPI document describes each field and every answer of the interface."""
    document = client.get("/api/openapi.json").json()
    assert set(document["paths"]) == {"/api/overview", "/healthz", "/readyz"}
    assert set(document["paths"]["/api/overview"]["get"]["responses"]) == {"200", "422", "503"}
    ours = {"Overview", "SloCard", "Point", "ToolErrors", "ModelCost", "Totals", "Alerts"}
    schemas = document["components"]["schemas"]
    assert ours <= set(schemas)
    for name in ours:
        for field, schema in schemas[name]["properties"].items():
            assert schema.get("description"), f"{name}.{field}"
