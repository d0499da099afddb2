"""The overview in a real browser: what a person sees, hears, and can reach with a keyboard."""

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from lake import Lake
from tests.browser.conftest import visiting
from tests.dashboards.agent_traffic import agent_run, model_call, table, tool_call
from tests.dashboards.conftest import Filled
from tests.dashboards.serving import dashboard, served

pytestmark = pytest.mark.browser

LEAST_CONTRAST = 4.5
"""WCAG 2.2, 1.4.3: text against its background."""

CONTRASTS = Path(__file__).with_name("contrasts.js").read_text("utf-8")


FIRST_ROW_IN_SIGHT = """(() => {
  const box = document.querySelector("details[open] .scroll");
  const rows = [...box.querySelectorAll("tbody tr")];
  const top = box.getBoundingClientRect().top;
  return rows.find((row) => row.getBoundingClientRect().top >= top).cells[0].innerText;
})()"""


def refresh(page: Page) -> None:
    """What the 10-second timer does, now, and wait until it is on the page."""
    with page.expect_response("**/fragments/overview*"):
        page.evaluate("htmx.trigger('#live', 'refresh')")
    expect(page.locator("#live.htmx-request")).to_have_count(0)


def test_it_loads_without_a_complaint_and_asks_no_other_host(
    browser: Browser, filled: Filled
) -> None:
    """No console message, no script error, no refused resource, no request leaving the host."""
    with visiting(browser, filled.url) as visit:
        refresh(visit.page)
        assert visit.problems == []
        assert [url for url in visit.requests if not url.startswith(filled.url)] == []
        assert len(visit.requests) > 5
        assert visit.page.evaluate("document.fonts.check('16px Inter')")


def test_landmarks_headings_and_names(browser: Browser, filled: Filled) -> None:
    """One h1, no skipped level, the landmarks, and a name on everything that can be used."""
    with visiting(browser, filled.url) as visit:
        page = visit.page
        for landmark in ("banner", "main", "contentinfo"):
            expect(page.get_by_role(landmark)).to_have_count(1)
        expect(page.get_by_role("navigation", name="Time range")).to_have_count(1)
        expect(page.get_by_role("heading", level=1)).to_have_count(1)
        levels = page.eval_on_selector_all(
            "h1, h2, h3, h4, h5, h6", "all => all.map(h => Number(h.tagName[1]))"
        )
        assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
        expect(page.get_by_label("Tenant", exact=True)).to_have_count(1)
        expect(page.get_by_role("link", name="Last 24 hours")).to_have_count(1)
        expect(page.get_by_role("button", name="Pause refreshing")).to_be_visible()
        assert page.get_attribute("html", "lang") == "en"
        nameless = page.eval_on_selector_all(
            "a, button, select, summary, [role=region], svg[role=img]",
            """all => all.filter(e => !(e.innerText ?? "").trim() && !e.getAttribute("aria-label")
                 && !e.labels?.length).map(e => e.outerHTML)""",
        )
        assert nameless == []
        ids = page.eval_on_selector_all("[id]", "all => all.map(e => e.id)")
        assert len(ids) == len(set(ids))


def test_tables_have_headers_and_right_aligned_tabular_numbers(
    browser: Browser, filled: Filled
) -> None:
    """Every column and row is named for a screen reader; digits stand under digits."""
    with visiting(browser, filled.url) as visit:
        tables = visit.page.eval_on_selector_all(
            "table",
            """all => all.map(t => ({
                 columns: t.querySelectorAll("thead th[scope=col]").length,
                 cells: t.querySelectorAll("thead > tr > *").length,
                 rows: [...t.querySelectorAll("tbody tr, tfoot tr")]
                   .every(r => r.querySelector("th[scope=row]"))}))""",
        )
        assert len(tables) == 7
        assert all(t["rows"] and t["columns"] == t["cells"] > 0 for t in tables)
        styles = visit.page.eval_on_selector_all(
            "td.number",
            """all => [...new Set(all.map(c => getComputedStyle(c))
                 .map(s => s.textAlign + " " + s.fontVariantNumeric))]""",
        )
        assert styles == ["right tabular-nums"]


def test_state_is_text_and_icon_never_colour_alone(browser: Browser, filled: Filled) -> None:
    """Each card says its state in words beside an icon."""
    with visiting(browser, filled.url) as visit:
        states = visit.page.locator("article .state")
        expect(states).to_have_count(4)
        for state in states.all():
            assert state.inner_text().strip() in {"Met", "Breached", "Too few", "Unknown"}
            expect(state.locator("svg")).to_have_count(1)


def test_everything_is_reached_by_tab_in_reading_order(browser: Browser, filled: Filled) -> None:
    """Skip link first, then header, pickers, cards and tables from top to bottom; focus is seen."""
    with visiting(browser, filled.url) as visit:
        page = visit.page
        stops = []
        for _ in range(60):
            page.keyboard.press("Tab")
            stop = page.evaluate(
                """() => { const e = document.activeElement, s = getComputedStyle(e);
                     return {tag: e.tagName, text: (e.innerText ?? "").trim().split("\\n")[0],
                             top: e.getBoundingClientRect().top + scrollY,
                             seen: s.outlineStyle !== "none" || e.matches(".skip")} }"""
            )
            if stop["tag"] == "BODY":
                break
            stops.append(stop)
        texts = [stop["text"] for stop in stops]
        assert texts[0] == "Skip to the numbers"
        assert {"Pause", "Dark", "15m", "30d", "Show", "This page as JSON"} <= set(texts)
        assert [stop["tag"] for stop in stops].count("SUMMARY") == 4
        assert all(stop["seen"] for stop in stops), stops
        tops = [stop["top"] for stop in stops[1:]]
        sections = [round(top / 400) for top in tops]
        assert sections == sorted(sections)


def test_it_refreshes_by_itself_and_pause_stops_that(browser: Browser, filled: Filled) -> None:
    """Every 10 seconds new numbers come; paused, none do; resumed, they come at once."""
    with visiting(browser, filled.url) as visit:
        page = visit.page
        first = page.inner_text("#as-of")
        expect(page.locator("#age")).to_contain_text("updated 2 s ago", timeout=5000)
        with page.expect_request("**/fragments/overview*", timeout=13_000):
            pass
        expect(page.locator("#as-of")).not_to_have_text(first, timeout=20_000)

        page.get_by_role("button", name="Pause refreshing").click()
        expect(page.locator("#age")).to_contain_text("paused")
        asked = len(visit.requests)
        page.wait_for_timeout(11_000)
        assert len(visit.requests) == asked

        with page.expect_request("**/fragments/overview*", timeout=3_000):
            page.get_by_role("button", name="Resume refreshing").click()
        expect(page.locator("#age")).not_to_contain_text("paused")
        assert visit.problems == []


def test_a_refresh_keeps_focus_scroll_open_tables_and_a_half_made_choice(
    browser: Browser, filled: Filled
) -> None:
    """Nothing a reader was doing is undone by new numbers."""
    with visiting(browser, filled.url) as visit:
        page = visit.page
        page.locator("#tenant").select_option("globex")
        summary = page.locator("#slo-ttfb summary, article summary").first
        summary.focus()
        page.keyboard.press("Enter")
        page.evaluate("scrollTo(0, 500)")
        page.evaluate("document.querySelector('details[open] .scroll').scrollTop = 80")
        row = page.evaluate(FIRST_ROW_IN_SIGHT)
        page.wait_for_timeout(2_100)  # until the answer of the first view is no longer kept
        before = page.inner_text("#as-of")
        refresh(page)
        expect(page.locator("#as-of")).not_to_have_text(before)
        assert page.evaluate("document.activeElement.tagName") == "SUMMARY"
        assert page.evaluate("scrollY") == 500
        assert page.locator("details[open]").count() == 1
        assert page.evaluate(FIRST_ROW_IN_SIGHT) == row, "a row may have come in above it"
        assert page.locator("#tenant").input_value() == "globex"


def test_new_spans_appear_without_reloading(browser: Browser, tmp_path: Path) -> None:
    """The page that taught the first span shows it once it is there."""
    with served(dashboard(tmp_path)) as url, visiting(browser, url) as visit:
        page = visit.page
        expect(page.get_by_role("heading", name="Send the first span")).to_be_visible()
        now = datetime.now(UTC)
        rows = table([agent_run(1, now - timedelta(seconds=5), tenant="initech")], now)
        Lake(tmp_path / "lake").append("spans", rows, 1)
        page.wait_for_timeout(2_100)
        refresh(page)
        expect(page.get_by_role("heading", name="Send the first span")).to_have_count(0)
        expect(page.locator("article")).to_have_count(4)
        expect(page.locator("#tenant")).to_contain_text("initech")
        assert visit.problems == []


def test_a_failing_refresh_keeps_the_numbers_and_says_how_old_they_are(
    browser: Browser, tmp_path: Path
) -> None:
    """With the lake gone the last numbers stay, marked; with the lake back the mark goes."""
    now = datetime.now(UTC)
    rows = table([agent_run(1, now - timedelta(minutes=1))], now)
    Lake(tmp_path / "lake").append("spans", rows, 1)
    log_file = next((tmp_path / "lake" / "spans" / "_delta_log").glob("*.json"))
    good = log_file.read_text()
    with served(dashboard(tmp_path)) as url, visiting(browser, url) as visit:
        page = visit.page
        log_file.write_text("{torn")
        page.wait_for_timeout(2_100)
        refresh(page)
        expect(page.get_by_role("alert")).to_contain_text("The lake cannot be read")
        expect(page.get_by_role("alert")).to_contain_text("as of")
        expect(page.locator("article")).to_have_count(4)
        log_file.write_text(good)
        refresh(page)
        expect(page.locator("#stale")).to_be_hidden()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_in_both_themes(browser: Browser, filled: Filled, scheme: str) -> None:
    """Every visible text has the contrast that WCAG AA asks for."""
    with visiting(browser, filled.url, color_scheme=scheme) as visit:
        contrasts = visit.page.evaluate(CONTRASTS)
        assert len(contrasts) > 100
        faint = [c for c in contrasts if c["ratio"] < LEAST_CONTRAST]
        assert faint == []
        background = visit.page.evaluate(
            "getComputedStyle(document.documentElement).backgroundColor"
        )
        brightness = sum(int(part) for part in background[4:-1].split(","))
        assert (brightness < 150) == (scheme == "dark")


def test_the_chosen_theme_is_remembered(browser: Browser, filled: Filled) -> None:
    """The button turns the theme around, a reload keeps it, turning back follows the system."""
    with visiting(browser, filled.url, color_scheme="light") as visit:
        page = visit.page
        page.get_by_role("button", name="Dark theme").click()
        assert page.get_attribute("html", "data-theme") == "dark"
        page.reload()
        assert page.get_attribute("html", "data-theme") == "dark"
        page.get_by_role("button", name="Light theme").click()
        assert page.get_attribute("html", "data-theme") is None
        page.emulate_media(color_scheme="dark")
        expect(page.get_by_role("button", name="Light theme")).to_be_visible()


@pytest.mark.parametrize("width", [360, 390, 768, 1024, 1440])
def test_it_fits_every_width(browser: Browser, filled: Filled, width: int) -> None:
    """The page never scrolls sideways (wide tables scroll in themselves), no text is tiny."""
    with visiting(browser, filled.url, viewport={"width": width, "height": 800}) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        cut = page.eval_on_selector_all(
            "h1, h2, h3, .state, .value, .target, dt, dd, .axis, button, nav a",
            """all => all.filter(e => e.scrollWidth > e.clientWidth + 1 && e.clientWidth > 1)
                 .map(e => e.outerHTML)""",
        )
        assert cut == []
        smallest = page.eval_on_selector_all(
            "main *", "all => Math.min(...all.map(e => parseFloat(getComputedStyle(e).fontSize)))"
        )
        assert smallest >= 11


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_a_long_name_leaves_the_numbers_in_view(
    browser: Browser, tmp_path: Path, width: int
) -> None:
    """A name of 300 characters takes no more room than others: it ends in an ellipsis."""
    now = datetime.now(UTC)
    run = agent_run(1, now - timedelta(minutes=5), tenant="t" * 300)
    rows = [
        run,
        model_call(run, 1, provider="openai", model="m" * 300, tokens=(10, 1)),
        tool_call(run, 2, tool="f" * 300),
    ]
    Lake(tmp_path / "lake").append("spans", table(rows, now), 1)
    viewport = {"width": width, "height": 800}
    with served(dashboard(tmp_path)) as url, visiting(browser, url, viewport=viewport) as visit:
        page = visit.page
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        names = page.eval_on_selector_all(
            ".name", "all => all.map(e => [e.textContent.length, e.clientWidth, e.scrollWidth])"
        )
        assert len(names) == 3
        for characters, shown, whole in names:
            assert characters == 300
            assert shown < min(whole, 250)
        if width >= 1024:
            tables = page.eval_on_selector_all(
                ".panel .scroll", "all => all.map(e => e.scrollWidth - e.clientWidth)"
            )
            assert set(tables) == {0}


def test_it_works_without_scripts(browser: Browser, filled: Filled) -> None:
    """Ranges and tenants are plain links and a form; buttons that need scripts are not shown."""
    with visiting(browser, filled.url, java_script_enabled=False) as visit:
        page = visit.page
        page.get_by_role("link", name="Last 6 hours").click()
        page.get_by_label("Tenant", exact=True).select_option("globex")
        page.get_by_role("button", name="Show").click()
        assert page.url == f"{filled.url}/?range=6h&tenant=globex"
        expect(page.locator("nav [aria-current]")).to_have_text("6h")
        expect(page.locator("#pause")).to_be_hidden()
        expect(page.locator("#theme")).to_be_hidden()
