/** The pictures of this tab, newest first: one click brings back a picture with its settings. */

import { $, el } from "./dom.js";
import { titleOf } from "./words.js";

const MOST = 24;

/**
 * @typedef {import("./stage.js").Picture & {state: import("./state.js").State, result: import("./api.js").Painted, facts: string}} Entry
 */

/** @param {(entry: Entry) => void} restore */
export function createHistory(restore) {
  const [list, empty] = [$("#history"), $("#history-empty")];
  /** @type {{entry: Entry, item: HTMLElement}[]} */
  const kept = [];

  function mark(/** @type {Entry} */ current) {
    for (const { entry, item } of kept) {
      if (entry === current) $("button", item).setAttribute("aria-current", "true");
      else $("button", item).removeAttribute("aria-current");
    }
  }

  return {
    /** @param {Entry} entry */
    add(entry) {
      const image = el("img", { src: entry.url, alt: "" });
      const label = `${titleOf(entry.state.mix)}, ${entry.facts}`;
      const button = el("button", { type: "button", title: label, "aria-label": label, onclick: () => (mark(entry), restore(entry)) }, image);
      const item = el("li", {}, button);
      kept.unshift({ entry, item });
      list.prepend(item);
      list.scrollLeft = 0;
      empty.hidden = true;
      mark(entry);
      for (const { entry: old, item: gone } of kept.splice(MOST)) {
        gone.remove();
        URL.revokeObjectURL(old.url);
      }
    },
  };
}
