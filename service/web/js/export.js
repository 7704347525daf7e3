/** Downloads: the picture, the request as code, the masks. */

import { $, announce, el } from "./dom.js";
import { address } from "./api.js";
import { currentKey } from "./key.js";
import { maskFile } from "./mask-strokes.js";
import { converted } from "./pictures.js";
import { effective, isLong, isPaintable, masksOf, requestFields } from "./request.js";
import { curl, python } from "./snippets.js";
import { isSamePicture } from "./state.js";
import { ending, fileName } from "./words.js";

const SAID_MS = 1600;

/**
 * @param {import("./state.js").Store} store
 * @param {(done: (entry: import("./history.js").Entry) => void) => void} repaint
 */
export function createExport(store, repaint) {
  const [download, snippet, saveMasks] = [$("#download"), $("#snippet"), $("#save-masks")];
  /** @type {import("./history.js").Entry | null} */
  let current = null;

  function save(/** @type {Blob} */ blob, /** @type {string} */ name) {
    const link = el("a", { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  function place() {
    const { photo, look } = store.get();
    const name = look.format ? ending(`image/${look.format}`) : ending(current?.blob.type ?? "image/jpeg");
    return {
      url: address("/stylize"),
      sample: photo?.isSample ? address(document.body.dataset.sample ?? "") : null,
      needsKey: currentKey() !== null,
      isJob: isLong(store.get()),
      output: `painted.${name}`,
    };
  }

  async function copy(/** @type {any} */ button, /** @type {typeof curl} */ write) {
    const text = write(requestFields(store.get()), place());
    snippet.textContent = text;
    snippet.hidden = false;
    const label = $("span", button);
    const name = button.dataset.name ?? (button.dataset.name = label.textContent);
    try {
      await navigator.clipboard.writeText(text);
      label.textContent = "Copied";
      announce("Copied");
    } catch {
      getSelection()?.selectAllChildren(snippet); // without a secure origin there is no clipboard
      label.textContent = "Selected";
      announce("The code is selected: copy it");
    }
    setTimeout(() => (label.textContent = name), SAID_MS);
  }

  const saveAs = (/** @type {import("./state.js").State} */ state, /** @type {Blob} */ blob) => save(blob, fileName(state, blob));

  /** A file of another format is painted anew; one that took minutes is converted, where the browser can. */
  async function take() {
    if (!current) return;
    const { blob, state } = current;
    const { format } = store.get().look;
    if (format === state.look.format || blob.type === `image/${format}`) return saveAs(state, blob);
    const copy = effective(state).isOptimised && format ? await converted(blob, `image/${format}`) : null;
    if (copy) return saveAs(state, copy);
    repaint((entry) => {
      setPicture(entry);
      saveAs(entry.state, entry.blob);
    });
  }

  /** @param {import("./history.js").Entry} entry */
  function setPicture(entry) {
    current = entry;
    download.disabled = false;
  }

  download.addEventListener("click", take);
  $("#copy-curl").addEventListener("click", (/** @type {Event} */ event) => copy(event.currentTarget, curl));
  $("#copy-python").addEventListener("click", (/** @type {Event} */ event) => copy(event.currentTarget, python));
  saveMasks.addEventListener("click", async () => {
    const masks = masksOf(store.get(), "full");
    for (const field of requestFields(store.get())) {
      if ("file" in field && field.file.role === "mask") {
        save(await maskFile(/** @type {HTMLCanvasElement} */ (masks.get(field.file.key))), field.file.name);
      }
    }
  });

  store.subscribe((state, before, action) => {
    if (action.type === "registered" && current && isSamePicture(current.state, before)) {
      current = { ...current, state: { ...state, look: current.state.look } };
    }
    for (const id of ["#copy-curl", "#copy-python"]) $(id).disabled = !isPaintable(state);
    saveMasks.hidden = !effective(state).hasMasks;
    snippet.hidden = true;
    if (!current || !isSamePicture(current.state, state)) download.disabled = true;
  });

  return {
    /** The picture that is shown, in full. @param {import("./history.js").Entry} entry */
    setPicture,
  };
}
