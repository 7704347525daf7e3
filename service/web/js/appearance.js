/** Dark or light, and which panel is shown where there is room for one. */

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

  const tabs = /** @type {HTMLElement[]} */ ([...document.querySelectorAll("[data-shows]")]);
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      document.body.dataset.panel = tab.dataset.shows;
      for (const other of tabs) other.removeAttribute("aria-current");
      tab.setAttribute("aria-current", "true");
      $(".side").scrollTop = 0;
    });
  }
  $(".skip").addEventListener("click", () => tabs.find(({ dataset }) => dataset.shows === "mix")?.click());
}
