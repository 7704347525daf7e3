/** Keys, and the page that tells them. A key does what its button does; where one writes, keys write. */

import { $, el } from "./dom.js";

/** Elements with keys, and an undo, of their own. */
const WRITTEN_IN = "input:not([type=range], [type=radio]), select, textarea";
const BRUSH_STEP = 3;

/** Keys that press a button. */
const PRESSES = /** @type {const} */ ([
  ["R", "surprise", "Surprise me"],
  ["C", "compare", "Compare with the photo"],
  ["M", "mask-mode", "Masks"],
  ["E", "mask-erase", "Erase; or hold Alt"],
  ["I", "mask-invert", "Invert the mask"],
  ["G", "wall-grow", "All paintings"],
  ["T", "contact", "Contact sheet"],
  ["B", "batch", "Many photos"],
  ["F", "fullscreen", "Full screen"],
  ["A", "adjust", "Show or hide the controls, where they are a drawer"],
  ["S", "download", "Download"],
  ["0", "zoom-fit", "The whole picture"],
  ["1", "zoom-one", "Pixel for pixel"],
  ["+", "zoom-in", "Zoom in"],
  ["-", "zoom-out", "Zoom out"],
  ["?", "help", "These keys"],
]);

const OTHERS = [["Ctrl Z", "Undo"], ["Ctrl Shift Z", "Redo"], ["Space", "The photo, as long as it is held"], ["[ ]", "Smaller or larger brush"], ["Esc", "Masks are done"], ["Arrows", "Move the picture, the divider, or along the wall"]];

/**
 * @param {import("./stage.js").Stage} stage
 * @param {() => boolean} isMasking
 */
export function createShortcuts(stage, isMasking) {
  const [dialog, brush] = [$("#help-dialog"), $("#brush-size")];

  const isElsewhere = (/** @type {Event} */ event) => {
    const target = /** @type {Element} */ (event.target);
    return Boolean(target.closest?.(WRITTEN_IN)) || document.querySelector("dialog[open]") !== null;
  };

  /** @param {boolean} is */
  function hold(is) {
    stage.viewport.classList.toggle("is-held", is && isMasking());
    stage.peek(is && !isMasking());
  }

  document.addEventListener("keydown", (event) => {
    if (isElsewhere(event) || event.altKey) return;
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && (key === "Z" || key === "Y")) $(key === "Y" || event.shiftKey ? "#redo" : "#undo").click();
    else if (isCommand) return;
    else if (key === "Escape" && isMasking()) $("#mask-done").click();
    else if (key === " " && !/** @type {Element} */ (event.target).closest("button, summary, a, label, input")) hold(true);
    else if (key === "[" || key === "]") {
      brush.valueAsNumber += key === "]" ? BRUSH_STEP : -BRUSH_STEP;
      brush.dispatchEvent(new Event("input"));
    } else {
      const press = PRESSES.find(([one]) => one === key || (key === "=" && one === "+"));
      const button = press && $(`#${press[1]}`);
      if (!button || button.disabled || button.closest("[hidden]") || event.repeat) return;
      button.click();
    }
    event.preventDefault();
  });
  document.addEventListener("keyup", (event) => event.key === " " && hold(false));
  window.addEventListener("blur", () => hold(false));

  $("#keys").replaceChildren(...[...PRESSES.map(([key, , words]) => [key, words]), ...OTHERS].flatMap(([keys, words]) => [
    el("dt", {}, ...keys.split(" ").map((key) => el("kbd", {}, key))), el("dd", {}, words),
  ]));
  $("#help").addEventListener("click", () => dialog.showModal());
  for (const any of document.querySelectorAll("dialog:not(#key-dialog)")) {
    any.addEventListener("click", (event) => event.target === any && /** @type {HTMLDialogElement} */ (any).close());
  }
}
