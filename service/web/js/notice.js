/** What the service has to say about the picture: errors, waiting, progress. Errors of a field stand at the field. */

import { $, announce, showText } from "./dom.js";

const PLACES = { style: "weights", style_id: "weights", model: "weights", quality: "format" };

export function createNotice() {
  const [box, text, progress, action, close] = ["", "-text", "-progress", "-action", "-close"].map((end) => $(`#notice${end}`));
  let act = () => {};

  /**
   * @param {string} message
   * @param {{share?: number | null, label?: string, then?: () => void, isError?: boolean}} [options]
   */
  function show(message, { share = null, label = "", then = () => {}, isError = false } = {}) {
    box.hidden = false;
    box.classList.toggle("is-error", isError);
    text.textContent = message;
    progress.hidden = share === null;
    if (share !== null) progress.value = share;
    action.hidden = label === "";
    action.textContent = label;
    act = then;
    close.hidden = !isError;
  }

  function clear() {
    box.hidden = true;
    for (const place of document.querySelectorAll("[data-field] .field-error")) showText(/** @type {HTMLElement} */ (place), "");
  }

  action.addEventListener("click", () => act());
  close.addEventListener("click", clear);

  return {
    clear,
    show,
    /** Nothing is under way any more; an error stays. */
    settle() {
      if (!box.classList.contains("is-error")) box.hidden = true;
    },
    /**
     * A problem, where it belongs.
     * @param {any} problem
     * @param {(() => void) | null} [again]
     */
    error(problem, again = null) {
      clear();
      const message = problem.detail ?? String(problem);
      const field = problem.errors?.[0]?.field;
      const place = field && $(`[data-field="${CSS.escape(PLACES[/** @type {keyof typeof PLACES} */ (field)] ?? field)}"]`);
      if (place) showText($(".field-error", place), message);
      const isSeen = place && place.offsetParent !== null;
      if (!isSeen) show(message, { isError: true, label: again ? "Try again" : "", then: again ?? (() => {}) });
      announce(message, true);
    },
  };
}

/** @typedef {ReturnType<typeof createNotice>} Notice */
