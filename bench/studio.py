"""The page in a real browser: its weight, its times and previews per second, and pictures of its main states.

Needs Chromium, and Playwright of the extra `test`. Every visit is a first one: a new profile, without a cache.
"""

import shutil
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, Any

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.processes import StartError, running, service_environment
from model_store.catalog import read_catalog
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

WINDOWS: Mapping[str, Mapping[str, Any]] = {
    "wide": {"viewport": {"width": 1440, "height": 900}},
    "narrow": {"viewport": {"width": 390, "height": 844}, "has_touch": True},
}
"""Windows that screenshots are taken of, and Playwright's options of each."""

WITHIN_MS = 120_000
WEBP_QUALITY = 86


@dataclass(frozen=True)
class Visit:
    """A first visit.

    Attributes:
        code_bytes: Page, scripts and styles, as they travel.
        other_bytes: The photo, the paintings in view and the lists of styles and networks, as they travel.
        usable_s: From the address to the photo and the wall.
        arrived_s: From the address to the sample photo, painted.
        first_s: From the click on a painting to its first preview.
        full_s: From the click to the picture in full size, 512 pixels.
        previews_per_s: Pictures shown per second while a slider moves.
    """

    code_bytes: int
    other_bytes: int
    usable_s: float
    arrived_s: float
    first_s: float
    full_s: float
    previews_per_s: float


def measure_studio(
    settings: Settings,
    folder: Path,
    rounds: int,
    screens: Path | None,
    say: Callable[[str], None],
    windows: Mapping[str, Mapping[str, Any]] = WINDOWS,
) -> list[Visit]:
    """Visit the page, and take screenshots of ``windows`` if ``screens`` names a folder.

    Raises:
        StartError: The service or the browser did not start.
    """
    styles = [style.id for style in read_catalog(folder).styles if settings.default_model in style.models]
    say("studio: start")
    with running("serve", "/readyz?worker=1", service_environment(settings, folder)) as server, _chromium() as browser:
        visits = []
        for number in range(rounds + 1):  # the first one warms the worker up
            say(f"studio: visit {number} of {rounds}")
            visits.append(_visit(browser, server.url, styles[1 + number % (len(styles) - 1)]))
        if screens is not None:
            say("studio: screenshots")
            screens.mkdir(parents=True, exist_ok=True)
            for name, options in windows.items():
                _screens(browser, server.url, styles, options, screens, name)
    return visits[1:]


def print_studio(visits: list[Visit], console: Console) -> None:
    """Print a table of medians."""
    table = Table("first visit", "measured", "wanted", title="The page")
    table.add_row("code, compressed", f"{median(visit.code_bytes for visit in visits) / 1000:.0f} kB", "≤ 80 kB")
    weight = median(visit.code_bytes + visit.other_bytes for visit in visits)
    table.add_row("all that is loaded", f"{weight / 1000:.0f} kB", "≤ 450 kB")
    table.add_row("photo and wall", f"{median(visit.usable_s for visit in visits):.2f} s", "")
    table.add_row("arrived, painted", f"{median(visit.arrived_s for visit in visits):.2f} s", "")
    table.add_row("first preview", f"{median(visit.first_s for visit in visits):.2f} s", "")
    table.add_row("full picture, 512 px", f"{median(visit.full_s for visit in visits):.2f} s", "≤ 0.8 s")
    table.add_row("previews per second", f"{median(visit.previews_per_s for visit in visits):.1f}", "≥ 12")
    console.print(table)


@contextmanager
def _chromium() -> "Iterator[Browser]":
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise StartError("there is no Chromium: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as err:
        raise StartError("Playwright is not installed: pip install 'stylize-server[test]'") from err
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


SIZES = """[...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")]
  .filter(({name}) => !name.endsWith("/stylize"))
  .map(({name, encodedBodySize}) => [name, encodedBodySize])"""

MOVING = """async (seconds) => {
  const [slider, frame] = [document.querySelector("#alpha"), document.querySelector("#frame")];
  let shown = 0;
  const observer = new MutationObserver((news) => (shown += news.filter(({target}) => target.id === "after").length));
  observer.observe(frame, {subtree: true, attributeFilter: ["data-size"]});
  const end = performance.now() + seconds * 1000;
  for (let step = 0; performance.now() < end; step++) {
    slider.value = String(0.5 + 0.4 * Math.sin(step / 10));
    slider.dispatchEvent(new Event("input", {bubbles: true}));
    await new Promise((resolve) => setTimeout(resolve, 16));
  }
  observer.disconnect();
  slider.dispatchEvent(new Event("change", {bubbles: true}));
  return shown / seconds;
}"""
"""Moves the slider of the strength, and counts the pictures that are shown."""


def _visit(browser: "Browser", url: str, style: str) -> Visit:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    began = perf_counter()
    page.goto(url)
    _usable(page)
    usable_s = perf_counter() - began
    page.wait_for_selector("#download:enabled")
    arrived_s = perf_counter() - began
    sizes = page.evaluate(SIZES)
    code = sum(size for name, size in sizes if name.endswith(("/", ".js", ".css", ".svg")))
    other = sum(size for _, size in sizes) - code
    page.wait_for_timeout(1500)  # the wall paints itself meanwhile
    shown = page.get_attribute("#after", "src")
    began = perf_counter()

    def click() -> None:
        page.click(f'.card[data-key="{style}"] .card-pick')
        page.wait_for_function("(src) => document.querySelector('#after').src !== src", arg=shown)

    count = page.locator("#history li").count()
    click()
    first_s = perf_counter() - began
    page.wait_for_function("(count) => document.querySelectorAll('#history li').length > count", arg=count)
    full_s = perf_counter() - began
    previews_per_s = page.evaluate(MOVING, 3)
    context.close()
    return Visit(code, other, usable_s, arrived_s, first_s, full_s, previews_per_s)


def _usable(page: "Page") -> None:
    page.wait_for_selector(".card")
    page.wait_for_selector("#before:not([hidden])")


def _screens(
    browser: "Browser", url: str, styles: list[str], options: Mapping[str, Any], screens: Path, name: str
) -> None:
    """Take the start, a mix, masks, a job, an error and the whole wall; the mix in the dark, too."""
    is_narrow = name == "narrow"
    for scheme in ("light", "dark"):
        context = browser.new_context(**options, reduced_motion="reduce", color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        page.goto(url)
        _usable(page)
        page.wait_for_selector("#history li", state="attached")
        page.wait_for_load_state("networkidle")

        def show(panel: str, page: "Page" = page) -> None:
            if is_narrow:
                page.click(f'[data-shows="{panel}"]')

        def take(state: str, page: "Page" = page) -> None:
            picture = Image.open(BytesIO(page.screenshot()))
            picture.convert("RGB").save(screens / f"{name}-{state}.webp", quality=WEBP_QUALITY, method=6)

        if scheme == "light":
            take("start")
        _mixed(page, styles)
        show("mix")
        take("mix" if scheme == "light" else "dark")
        if scheme == "light":
            _more_states(page, show, take)
        context.close()


def _more_states(page: "Page", show: Callable[[str], None], take: Callable[[str], None]) -> None:
    show("")
    _masked(page)
    take("masks")
    page.click("#mask-done")
    show("look")
    page.click("#optimise")
    page.wait_for_function("() => document.querySelector('#jobs progress')?.value > 0.04")
    show("recent")
    take("job")
    page.click("#jobs [aria-label^=Cancel]")
    show("")
    page.click("#wall-grow") if page.locator("#wall-grow").is_visible() else page.keyboard.press("g")
    page.wait_for_timeout(3000)
    take("wall")
    page.keyboard.press("g")
    page.set_input_files("#photo-file", {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear Sir"})
    page.wait_for_selector("#notice.is-error")
    take("error")


def _next(page: "Page", act: Callable[[], None]) -> None:
    count = page.locator("#history li").count()
    act()
    page.wait_for_function("(count) => document.querySelectorAll('#history li').length > count", arg=count)


def _mixed(page: "Page", styles: list[str]) -> None:
    """Mix two more into the style that the page arrives with."""
    others = [style for style in ("van-gogh-starry-night", "gauguin-arearea") if style in styles] or styles[1:3]
    for other in others:
        page.locator(f'.card[data-key="{other}"]').hover()
        _next(page, lambda other=other: page.click(f'.card[data-key="{other}"] .card-add'))  # type: ignore[misc]
    page.locator("#gallery").evaluate("(list) => { list.scrollLeft = 0; }")
    page.mouse.move(0, 0)


def _masked(page: "Page") -> None:
    page.click("#mask-mode")
    box = page.locator("#viewport").bounding_box()
    assert box is not None

    def drag() -> None:
        page.mouse.move(box["x"] + box["width"] * 0.55, box["y"] + box["height"] * 0.4)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.7, box["y"] + box["height"] * 0.8, steps=8)
        page.mouse.up()

    _next(page, drag)
