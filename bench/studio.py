"""The page in a real browser: its weight, the time from a click to the first output, and screenshots.

Needs Chromium, and Playwright of the extra `test`. Every visit is a first one: a new profile, without a cache.
"""

import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING

from PIL import Image
from rich.console import Console
from rich.table import Table

from bench.processes import StartError, running, service_environment
from model_store.catalog import read_catalog
from service.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}
PAINTING = Path(__file__).parents[1] / "examples" / "painting.jpg"
WITHIN_MS = 120_000
WEBP_QUALITY = 86


@dataclass(frozen=True)
class Visit:
    """A first visit.

    Attributes:
        weight_bytes: Size of the page and all its files, without the previews of styles.
        previews_bytes: Size of the previews that are in view.
        usable_s: Seconds from the address to the content image and the gallery.
        first_s: Seconds from the click on a style to the first output, of 256 pixels.
        full_s: Seconds from the click to the output in full size, 512 pixels.
    """

    weight_bytes: int
    previews_bytes: int
    usable_s: float
    first_s: float
    full_s: float


def measure_studio(
    settings: Settings, folder: Path, rounds: int, screens: Path | None, say: Callable[[str], None]
) -> list[Visit]:
    """Visit the page, and take screenshots if ``screens`` names a folder.

    Raises:
        StartError: The service or the browser did not start.
    """
    environment = service_environment(settings, folder)
    styles = [style.id for style in read_catalog(folder).styles if "adain" in style.models]
    say("studio: start")
    with running("serve", "/readyz", environment) as server, _chromium() as browser:
        visits = []
        for number in range(rounds + 1):  # the first one warms the worker up
            say(f"studio: visit {number} of {rounds}")
            visits.append(_visit(browser, server.url, styles[number % len(styles)]))
        if screens is not None:
            say("studio: screenshots")
            screens.mkdir(parents=True, exist_ok=True)
            for name, options in (("wide", {"viewport": WIDE}), ("narrow", {"viewport": NARROW, "has_touch": True})):
                _screens(browser, server.url, styles, options, screens, name)
    return visits[1:]


def print_studio(visits: list[Visit], console: Console) -> None:
    """Print a table of medians."""
    table = Table("first visit", "measured", "wanted", title="The page")
    table.add_row("page weight", f"{median(visit.weight_bytes for visit in visits) / 1000:.0f} kB", "≤ 300 kB")
    table.add_row("previews in view", f"{median(visit.previews_bytes for visit in visits) / 1000:.0f} kB", "")
    table.add_row("photo and gallery", f"{median(visit.usable_s for visit in visits):.2f} s", "")
    table.add_row("first picture, 256 px", f"{median(visit.first_s for visit in visits):.2f} s", "≤ 2 s")
    table.add_row("full picture, 512 px", f"{median(visit.full_s for visit in visits):.2f} s", "")
    console.print(table)


@contextmanager
def _chromium() -> "Iterator[Browser]":
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        raise StartError("there is no Chromium: apt-get install chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as err:
        raise StartError("Playwright is not installed: pip install 'stylize[test]'") from err
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


def _visit(browser: "Browser", url: str, style: str) -> Visit:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WITHIN_MS)
    weights = {"page": 0, "previews": 0}

    def weigh(path: str, size: int) -> None:
        weights["previews" if path.endswith("/preview") else "page"] += size

    began = perf_counter()
    page.goto(url)
    _usable(page)
    usable_s = perf_counter() - began
    sizes = page.evaluate(
        "[...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')]"
        ".map((entry) => [entry.name, entry.decodedBodySize])"
    )
    for name, size in sizes:
        weigh(name, size)
    began = perf_counter()
    page.click(f'.card[data-key="{style}"] .card-pick')
    page.wait_for_selector("#after:not([hidden])")
    first_s = perf_counter() - began
    page.wait_for_selector("#download:enabled")
    full_s = perf_counter() - began
    context.close()
    return Visit(weights["page"], weights["previews"], usable_s, first_s, full_s)


def _usable(page: "Page") -> None:
    page.wait_for_selector(".card")
    page.wait_for_selector("#before:not([hidden])")


def _screens(browser: "Browser", url: str, styles: list[str], options: dict, screens: Path, name: str) -> None:  # type: ignore[type-arg]
    """Start, a mix, masks, a job, an error and a key's dialog; the mix in the dark, too."""
    is_narrow = name == "narrow"
    for scheme in ("light", "dark"):
        context = browser.new_context(**options, reduced_motion="reduce", color_scheme=scheme)
        page = context.new_page()
        page.set_default_timeout(WITHIN_MS)
        page.goto(url)
        _usable(page)
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
            show("masks")
            _masked(page)
            take("masks")
            page.click("#mask-mode")
            show("mix")
            _job(page)
            take("job")
            page.click("#notice-action")
            page.set_input_files("#photo-file", {"name": "letter.txt", "mimeType": "text/plain", "buffer": b"Dear Sir"})
            page.wait_for_selector("#notice.is-error")
            take("error")
        context.close()


def _next(page: "Page", act: Callable[[], None]) -> None:
    count = page.locator("#history li").count()
    act()
    page.wait_for_function("(count) => document.querySelectorAll('#history li').length > count", arg=count)


def _mixed(page: "Page", styles: list[str]) -> None:
    wanted = [style for style in ("van-gogh-starry-night", "gauguin-arearea", "klimt-birch-forest") if style in styles]
    first, *others = wanted if len(wanted) == 3 else styles[:3]
    _next(page, lambda: page.click(f'.card[data-key="{first}"] .card-pick'))
    for other in others:
        page.locator(f'.card[data-key="{other}"]').hover()
        _next(page, lambda other=other: page.click(f'.card[data-key="{other}"] .card-add'))  # type: ignore[misc]
    page.locator("#gallery").evaluate("(list) => { list.scrollTop = 0; }")
    page.mouse.move(0, 0)


def _masked(page: "Page") -> None:
    page.click("#mask-mode")
    box = page.locator("#frame").bounding_box()
    assert box is not None

    def drag() -> None:
        page.mouse.move(box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.15)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.78, box["y"] + box["height"] * 0.8, steps=8)
        page.mouse.up()

    _next(page, drag)
    page.locator("#mask-tools").scroll_into_view_if_needed()


def _job(page: "Page") -> None:
    _next(page, lambda: page.set_input_files("#style-file", PAINTING))
    page.locator("[name=method][value=gatys]").check(force=True)
    page.click("#optimise")
    page.wait_for_function("() => document.querySelector('#notice-progress').value > 0.04")
