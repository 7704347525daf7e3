/** Messages about the picture: errors, waiting. Errors of a field stand at the field. */

import { $, announce, showText } from "./dom.js";

const PLACES = { style: "weights", style_id: "weights", model: "weights", quality: "format" };

export function createNotice() {
  const [box, text, action, close] = ["", "-text", "-action", "-close"].map((end) => $(`#notice${end}`));
  let act = () => {};
  let isKept = false;

  /**
   * @param {string} message
   * @param {{label?: string, then?: () => void, isError?: boolean, stays?: boolean, detail?: string}} [options] `stays`: until something else is said, or it is dismissed; `detail`: the service's own words.
   */
  function show(message, { label = "", then = () => {}, isError = false, stays = isError, detail = "" } = {}) {
    box.hidden = false;
    box.classList.toggle("is-error", isError);
    text.replaceChildren(message, ...(detail && detail !== message ? [Object.assign(document.createElement("small"), { textContent: detail })] : []));
    action.hidden = label === "";
    action.textContent = label;
    act = then;
    isKept = stays;
    close.hidden = !stays;
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
      if (!isKept) box.hidden = true;
    },
    /**
     * A problem, where it belongs.
     * @param {any} problem
     * @param {(() => void) | null} [again]
     */
    error(problem, again = null) {
      clear();
      const detail = problem.detail ?? String(problem);
      const field = problem.errors?.[0]?.field;
      const place = field && $(`[data-field="${CSS.escape(PLACES[/** @type {keyof typeof PLACES} */ (field)] ?? field)}"]`);
      if (place) showText($(".field-error", place), detail);
      const isSeen = place && place.offsetParent !== null;
      const message = problem.spoken ?? detail;
      if (!isSeen) show(message, { isError: true, label: again ? "Try again" : "", then: again ?? (() => {}), detail });
      announce(isSeen ? detail : message, true);
    },
  };
}

/** @typedef {ReturnType<typeof createNotice>} Notice */
