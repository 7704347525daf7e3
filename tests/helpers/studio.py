"""The page in a real browser, as a person uses it."""

import os
import shutil
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from paths import ROOT
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from processes import Service

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
WITHIN_MS = 60_000
"""The machine may have other work."""

WIDE = {"width": 1440, "height": 900}
NARROW = {"width": 390, "height": 844}

SIZES = ("256", "512", "768", "1024", "1536", "2048", "original")
"""The stops of the slider between coarse and fine."""

PIXELS = """(selector) => {
  const image = document.querySelector(selector);
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const canvas = Object.assign(document.createElement("canvas"), {width, height});
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas.toDataURL("image/png").split(",")[1];
}"""


def chromium_path() -> str:
    """Skips the test where there is no Chromium, unless ``REQUIRE_BROWSER`` is set: then it fails."""
    if CHROMIUM is None:
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail("REQUIRE_BROWSER is set, but there is no Chromium: apt-get install chromium")
        pytest.skip("needs Chromium: apt-get install chromium")
    return CHROMIUM


class SharedChromium:
    """One Chromium for all browser tests, which can reach nothing but this machine.

    Playwright's event loop is in the way of tests that run one of their own, so it must be closed before those.
    """

    def __init__(self) -> None:
        """Nothing is started before it is asked for."""
        self._open: ExitStack | None = None
        self._browser: Browser | None = None

    def browser(self) -> Browser:
        """The browser, started when there is none."""
        if self._browser is None:
            path = chromium_path()
            rules = "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"
            self._open = ExitStack()
            playwright = self._open.enter_context(sync_playwright())
            arguments = ["--no-sandbox", "--disable-gpu", rules]
            self._browser = playwright.chromium.launch(executable_path=path, args=arguments)
            self._open.callback(self._browser.close)
        return self._browser

    def close(self) -> None:
        """End the browser, if there is one."""
        if self._open is not None:
            self._open.close()
            self._open = self._browser = None


CHROMIUM_OF_ALL = SharedChromium()


def close_contexts(browser: Browser) -> None:
    """Close all that was opened in the browser."""
    for context in list(browser.contexts):
        context.close()


class Studio:
    """One tab with the page; notes what the browser complains about and what it asks for."""

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.url = url
        self.page: Page = context.new_page()
        self.page.set_default_timeout(WITHIN_MS)
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self.posted: list[tuple[str, bytes]] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def open(self, look: str = "#style=") -> "Studio":
        """Open the page with the look of a link; without further words it has no style, so that nothing is painted."""
        self.page.goto(f"{self.url}/{look}")
        self.page.wait_for_selector(".card")
        self.page.wait_for_selector("#before:not([hidden])")
        return self

    def card(self, key: str) -> Any:
        return self.page.locator(f'.card[data-key="{key}"]')

    def choose(self, key: str) -> None:
        """Click on a painting, and wait for its picture in full size."""
        with self.next_picture():
            self.card(key).locator(".card-pick").click()

    def mix_in(self, key: str) -> None:
        with self.next_picture():
            self.card(key).hover()
            self.card(key).locator(".card-add").click()

    @contextmanager
    def next_picture(self) -> Iterator[None]:
        """What is done within leads to one more picture in full size."""
        before = self.page.locator("#history li").count()
        yield
        self.page.wait_for_function("(count) => document.querySelectorAll('#history li').length > count", arg=before)
        self.page.wait_for_selector("#download:enabled", state="attached")

    @contextmanager
    def known_picture(self) -> Iterator[None]:
        """What is done within leads to a picture that has been painted before, without another request."""
        before, count = self.page.get_attribute("#after", "src"), self.page.locator("#history li").count()
        yield
        self.page.wait_for_function("(src) => document.querySelector('#after').src !== src", arg=before)
        self.page.wait_for_selector("#download:enabled", state="attached")
        assert self.page.locator("#history li").count() == count

    def set_size(self, size: str) -> None:
        """Move the slider between coarse and fine, as from the keyboard."""
        self.page.fill("#size", str(SIZES.index(size)))
        self.page.locator("#size").dispatch_event("change")

    def shown(self, selector: str = "#after") -> Image.Image:
        """The picture on the wall."""
        return Image.open(BytesIO(b64decode(self.page.evaluate(PIXELS, selector)))).convert("RGB")

    def pixels(self, selector: str = "#after") -> np.ndarray:
        return np.asarray(self.shown(selector), dtype=int)

    def text(self, selector: str) -> str:
        return self.page.locator(selector).inner_text()

    def module(self, name: str, code: str, *arguments: object) -> Any:
        """Call a function of one of the page's modules: ``code`` is a function of the module and its arguments."""
        path = self.page.evaluate("document.querySelector('script[type=module]').src").replace("main.js", f"{name}.js")
        call = f"async ([path, list]) => ({code})(await import(path), ...list)"
        return self.page.evaluate(call, [path, list(arguments)])

    def count_requests(self, end: str) -> int:
        return sum(url.endswith(end) for url in self.requests)


def opener(browser: Browser, service: Service) -> Callable[..., Studio]:
    """A function that opens the page in a browser of its own: without storage, cold."""

    def open_studio(look: str = "#style=", **context: Any) -> Studio:
        options = {"viewport": WIDE, "reduced_motion": "reduce", **context}
        return Studio(browser.new_context(**options), service.url).open(look)

    return open_studio


def file(name: str, content: bytes, mime: str = "image/png") -> dict[str, Any]:
    """As a file input takes it."""
    return {"name": name, "mimeType": mime, "buffer": content}


DROP = """([name, type, base64, zone]) => {
  const bytes = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, {type}));
  const send = (kind, target) =>
    target.dispatchEvent(new DragEvent(kind, {bubbles: true, cancelable: true, dataTransfer: files}));
  send("dragover", document.body);
  send("dragover", document.querySelector(`[data-drop=${zone}]`));
  send("drop", document.querySelector(`[data-drop=${zone}]`));
}"""

PASTE = """([name, type, base64]) => {
  const bytes = Uint8Array.from(atob(base64), (byte) => byte.charCodeAt(0));
  const files = new DataTransfer();
  files.items.add(new File([bytes], name, {type}));
  document.dispatchEvent(new ClipboardEvent("paste", {bubbles: true, cancelable: true, clipboardData: files}));
}"""

PAINTING = ROOT / "examples" / "painting.jpg"
