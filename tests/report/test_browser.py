"""The page in a real browser: what it loads, what its controls do, by mouse and by keyboard, and what a screen reader is told.

Skipped where there is no Chromium, or no playwright to drive it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import netspec
from netspec.backends.diagram.drawing.engine import engines
from netspec.report import Draw, report_page, save_page
from tests.report.drawing import plain

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"), pytest.mark.slow]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        running = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield running
        running.close()


def _drawing() -> Draw:
    """The real thing, where something draws here."""
    if not engines():
        return plain
    from netspec.backends.diagram.look import Look
    from netspec.backends.diagram.picture import Diagram

    return lambda view: Diagram(view, Look()).svg()


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "resnet50.html"
    save_page(report_page(netspec.load("zoo.resnet:resnet50"), _drawing()), path)
    return path


@pytest.fixture
def page(browser: Any, written: Path) -> Iterator[Any]:
    """The open page. At the end of a test it must not have complained, nor asked for anything but itself."""
    yield from _opened(browser, written)


def _opened(browser: Any, path: Path, **options: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 1400, "height": 900}, **options)
    opened = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(path.as_uri())
    yield opened
    assert said == []
    assert asked == [path.as_uri()]
    context.close()


def _labels(page: Any, count: int = 5) -> list[str]:
    return page.locator("#table tbody tr:not([hidden]) th").all_text_contents()[:count]


def _settled(page: Any, title: str) -> None:
    page.wait_for_function("title => document.querySelector('#shown').textContent === title", arg=title)


# ---------------------------------------------------------------------------------------------------------------- the table
def test_sorting_by_click_and_by_key(page: Any) -> None:
    assert page.locator("#table tbody tr").count() == 175
    heading = page.locator("#table th[abbr=Parameters]")
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert _labels(page, 4) == ["layer4.0.conv2", "layer4.1.conv2", "layer4.2.conv2", "layer4.0.downsample.0"]
    heading.locator("button").press("Enter")
    assert heading.get_attribute("aria-sort") is None
    assert _labels(page, 2) == ["conv1", "bn1"]
    page.locator("#table th[abbr=Bytes] button").click()
    page.locator("#table th[abbr=Bytes] button").click()
    sizes = page.evaluate("[...document.querySelectorAll('#table tbody tr')].map((row) => Number(row.cells[6].dataset.v))")
    assert sizes == sorted(sizes, reverse=True)


def test_filtering(page: Any) -> None:
    page.get_by_label("Filter", exact=False).first.fill("layer4.0 ")
    page.get_by_label("Filter", exact=False).first.fill("layer4.0.")
    assert page.locator("#matches").text_content() == "12 of 175"
    page.get_by_label("normalization").uncheck()
    assert page.locator("#matches").text_content() == "8 of 175"
    page.get_by_label("normalization").check()
    page.locator("#search").fill("")
    page.locator("#default").click()
    page.get_by_label("hide layers of folded blocks").check()
    few = page.locator("#table tbody tr:not([hidden])").count()
    assert 0 < few < 175
    page.locator("#deeper").click()


def test_a_row_lights_its_box_and_its_line(page: Any) -> None:
    row = page.locator("#table tbody tr").nth(1)
    row.locator("th").click()
    assert "lit" in (row.get_attribute("class") or "")
    assert page.locator("#canvas .lit").count() == 1
    assert page.locator("#source li.lit").count() == 1
    assert "bn1: batch_norm" in (page.locator("#picked").text_content() or "")


def test_rows_by_the_arrow_keys(page: Any) -> None:
    page.locator("#table tbody tr").first.focus()
    for key in ("ArrowDown", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert page.evaluate("document.activeElement.cells[1].textContent") == "relu1"
    assert page.locator("tr[aria-current=true]").count() == 1
    assert page.locator("#table tbody tr[tabindex='0']").count() == 1
    page.keyboard.press("End")
    assert page.evaluate("document.activeElement.cells[1].textContent") == "fc"


def test_a_line_and_a_bar_light_their_rows(page: Any) -> None:
    page.locator("#L52 code").click()
    lit = page.locator("#table tr.lit th").all_text_contents()
    assert lit == ["global_avg_pool1", "flatten1", "fc"]
    page.locator("#plots .bar").first.click(force=True)
    assert page.locator("#table tr.lit").count() == 1


# -------------------------------------------------------------------------------------------------------------- the diagram
def test_folding_by_click(page: Any) -> None:
    page.locator("#shallower").click()
    _settled(page, "Depth 1")
    box = page.locator("#canvas [data-key='layer2']")
    assert box.get_attribute("aria-expanded") == "false"
    box.locator("text").first.click()
    _settled(page, "layer2 open")
    opened = page.locator("#canvas [data-key='layer2']")
    assert opened.get_attribute("aria-expanded") == "true"
    assert page.evaluate("document.activeElement.dataset.key") == "layer2"
    assert "layer2" in (page.locator("#status").text_content() or "")
    assert page.locator("#canvas [data-key='layer1'][aria-expanded='false']").count() == 1


def test_folding_by_keyboard(page: Any) -> None:
    page.locator("#shallower").press("Enter")
    _settled(page, "Depth 1")
    page.locator("#canvas [data-key='layer3']").focus()
    page.keyboard.press("Enter")
    _settled(page, "layer3 open")
    page.locator("#canvas [data-key='layer3.0']").focus()
    page.keyboard.press("Space")
    _settled(page, "layer3.0 open")
    assert page.evaluate("document.activeElement.dataset.key") == "layer3.0"
    page.keyboard.press("Enter")
    _settled(page, "layer3 open")
    assert page.evaluate("document.activeElement.dataset.key") == "layer3.0"
    page.locator("#canvas [data-key='layer3']").focus()
    page.keyboard.press("Enter")
    _settled(page, "Depth 1")


def test_every_view_can_be_shown(page: Any) -> None:
    views = page.locator("script[id^=view-]").count()
    assert views > 10
    for number in range(views):
        title = page.evaluate("async (n) => { await show(n); return view.title; }", number)
        for kind, spots in (("box", "boxes"), ("group", "groups")):
            assert page.locator(f"#canvas [data-kind={kind}]").count() == page.evaluate(f"view.{spots}.length"), title


def test_depth_buttons(page: Any) -> None:
    page.locator("#shallower").click()
    _settled(page, "Depth 1")
    assert page.locator("#shallower").is_disabled()
    page.locator("#deeper").click()
    _settled(page, "Depth 2")
    page.locator("#default").click()
    _settled(page, "Default view")


def test_zoom(page: Any) -> None:
    def width() -> float:
        return page.evaluate("document.querySelector('#canvas svg').getBoundingClientRect().width")

    page.locator("#actual").click()
    own = width()
    page.locator("#larger").click()
    assert width() == pytest.approx(own * 1.25, rel=0.01)
    page.locator("#canvas").focus()
    page.keyboard.press("-")
    page.keyboard.press("-")
    assert width() == pytest.approx(own * 0.8, rel=0.01)
    page.keyboard.press("0")
    assert width() <= page.evaluate("document.querySelector('#canvas').clientWidth")
    before = width()
    page.locator("#canvas").hover()
    page.keyboard.down("Control")
    page.mouse.wheel(0, -200)
    page.keyboard.up("Control")
    page.wait_for_function("width => document.querySelector('#canvas svg').getBoundingClientRect().width > width", arg=before)
    page.locator("#wide").click()
    assert page.locator("#wide").get_attribute("aria-pressed") == "true"


# ----------------------------------------------------------------------------------------------- theme, paper, accessibility
def _ground(page: Any) -> str:
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_theme(page: Any) -> None:
    assert _ground(page) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    page.locator("#theme").click()
    assert page.locator("#theme").text_content() == "Theme: dark"
    assert _ground(page) == "rgb(15, 19, 24)"
    page.locator("#theme").click()
    assert _ground(page) == "rgb(255, 255, 255)"


_CONTRASTS = """() => {
  const numbers = (colour) => (colour.match(/[\\d.]+/g) ?? []).map(Number);
  const bright = (rgb) => {
    const [r, g, b] = rgb.slice(0, 3).map((c) => c / 255).map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const low = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || element.closest('svg, script, style, .unseen, .leap, legend, :disabled')) continue;
    const [one, two] = [bright(numbers(getComputedStyle(element).color)), bright(ground(element))].sort((a, b) => b - a);
    if ((one + 0.05) / (two + 0.05) < 4.5) low.add(`${element.outerHTML.slice(0, 80)}`);
  }
  return [...low];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast(browser: Any, written: Path, scheme: str) -> None:
    for page in _opened(browser, written, color_scheme=scheme):
        assert page.evaluate(_CONTRASTS) == []


_NAMELESS = """() => [...document.querySelectorAll(
    'button, input, select, a[href], [role=button], [role=region], fieldset, svg, output')].filter((part) => {
  const label = part.labels?.[0]?.textContent ?? '';
  const legend = part.querySelector?.('legend, title')?.textContent ?? '';
  const name = part.getAttribute('aria-label') || label || legend || (part.matches('button, a, output') ? part.textContent : '');
  return !name.trim() && part.id !== 'matches';
}).map((part) => part.outerHTML.slice(0, 120))"""


def test_everything_has_a_name(page: Any) -> None:
    assert page.evaluate(_NAMELESS) == []


def test_headings_and_landmarks(page: Any) -> None:
    levels = page.evaluate("[...document.querySelectorAll('h1, h2, h3, h4')].map((heading) => Number(heading.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    for landmark in ("header", "nav", "main", "footer"):
        assert page.locator(landmark).count() == 1
    assert page.evaluate("document.documentElement.lang") == "en"
    scrolls = "(part) => part.scrollHeight > part.clientHeight + 1 && part.tabIndex < 0"
    assert page.evaluate(f"[...document.querySelectorAll('.scroll, .canvas, pre')].filter({scrolls}).length") == 0


def test_the_first_tab_skips_to_the_content(page: Any) -> None:
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "leap"
    page.keyboard.press("Enter")
    assert page.url.endswith("#content")


def test_narrow_screens_do_not_scroll_sideways(browser: Any, written: Path) -> None:
    for page in _opened(browser, written):
        page.set_viewport_size({"width": 360, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_printing(page: Any, tmp_path: Path) -> None:
    data = page.pdf(format="A4")
    assert data.startswith(b"%PDF") and len(data) > 50_000
    page.emulate_media(media="print")
    for gone in (".tools", ".filters", ".contents", "#theme", ".leap"):
        assert not page.locator(gone).is_visible()
    assert page.evaluate("((box) => box.scrollHeight - box.clientHeight)(document.querySelector('#layers .scroll'))") <= 1
    assert page.evaluate("document.querySelector('#canvas svg').getBoundingClientRect().height") < 950


def test_without_a_script_the_page_is_whole(browser: Any, written: Path) -> None:
    for page in _opened(browser, written, java_script_enabled=False):
        assert page.locator("#canvas svg").is_visible()
        assert page.locator("#table tbody tr").count() == 175
        assert not page.locator(".tools").is_visible() and not page.locator(".filters").is_visible()


def test_a_hostile_network_does_nothing(browser: Any, tmp_path: Path) -> None:
    words = "</script><img src=x onerror=alert(1)><svg onload=alert(2)>"
    text = f'"""{words}"""\nnet a {{\n  """{words}"""\n  input x: [N, 4]\n  output y = x -> linear(4) as "l"  # {words}\n}}\n'
    path = tmp_path / "hostile.html"
    save_page(report_page(netspec.loads(text), _drawing()), path)
    for page in _opened(browser, path):
        page.wait_for_timeout(200)
        assert page.locator("img").count() == 0
        assert words in (page.locator(".doc").text_content() or "")
