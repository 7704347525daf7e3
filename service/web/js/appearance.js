/** Dark or light, full screen, and which panel is shown where there is room for one. */

import { $ } from "./dom.js";
import { lasting } from "./storage.js";

const PLACE = "stylize-theme";

export function createAppearance() {
  const root = document.documentElement;
  const stored = lasting.get(PLACE);
  if (stored) root.dataset.theme = stored;
  $("#theme").addEventListener("click", () => {
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    lasting.set(PLACE, root.dataset.theme);
  });

  $("#fullscreen").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else $("#stage").requestFullscreen?.().catch(() => {});
  });

  const adjust = $("#adjust");
  function setDrawer(/** @type {boolean} */ is) {
    document.body.classList.toggle("has-drawer", is);
    adjust.setAttribute("aria-expanded", String(is));
  }
  adjust.addEventListener("click", () => setDrawer(!document.body.classList.contains("has-drawer")));
  $("#side").addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key !== "Escape" || !document.body.classList.contains("has-drawer")) return;
    setDrawer(false);
    adjust.focus();
  });

  const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-shows]")]);
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      const isShown = tab.getAttribute("aria-current") === "true";
      if (tab.dataset.shows === "" && isShown) $("#wall-grow").click(); // all paintings, and the search
      document.body.dataset.panel = tab.dataset.shows;
      for (const other of tabs) other.removeAttribute("aria-current");
      tab.setAttribute("aria-current", "true");
      $(".side").scrollTop = 0;
    });
  }
  $(".skip").addEventListener("click", () => {
    tabs.find(({ dataset }) => dataset.shows === "mix")?.click();
    setDrawer(true);
  });
}
