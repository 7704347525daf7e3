/** Export: the picture as a file, a copy, a tab or a link; the request as code; the masks. */

import { $, announce, el } from "./dom.js";
import { address } from "./api.js";
import { currentKey } from "./key.js";
import { toLink } from "./link.js";
import { maskFile } from "./mask-strokes.js";
import { asFile } from "./pictures.js";
import { effective, isLong, isPaintable, masksOf, requestFields } from "./request.js";
import { isSamePicture } from "./state.js";
import { ending, fileName } from "./words.js";

const SAID_MS = 1600;

/** @typedef {import("./tray.js").Entry} Entry */

/** @param {Blob} blob @param {string} name */
export function save(blob, name) {
  const link = el("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

/**
 * @param {import("./state.js").Store} store
 * @param {(done: (entry: Entry) => void) => void} repaint
 * @param {(then: (entry: Entry) => void) => void} inFull Begin the job of a picture that takes long.
 */
export function createExport(store, repaint, inFull) {
  const [download, copyPicture, open, copyLink, snippet, saveMasks] = ["download", "copy-picture", "open-picture", "copy-link", "snippet", "save-masks"].map((id) => $(`#${id}`));
  const codes = /** @type {const} */ ({ "#copy-curl": "curl", "#copy-python": "python", "#copy-javascript": "javascript" });
  /** @type {Entry | null} */
  let current = null;

  function place() {
    const { photo, look } = store.get();
    const name = look.format ? ending(`image/${look.format}`) : ending(current?.blob.type ?? "image/jpeg");
    return {
      url: address("/stylize"),
      sample: photo?.sample ? address(photo.sample) : null,
      needsKey: currentKey() !== null,
      isJob: isLong(store.get()),
      output: `painted.${name}`,
    };
  }

  function say(/** @type {HTMLElement} */ button, /** @type {string} */ words) {
    const label = button.querySelector("span") ?? button;
    const isIcon = label === button;
    const name = button.dataset.name ?? (button.dataset.name = (isIcon ? button.title : label.textContent) ?? "");
    if (isIcon) button.classList.add("is-done");
    else label.textContent = words;
    announce(words);
    setTimeout(() => (isIcon ? button.classList.remove("is-done") : (label.textContent = name)), SAID_MS);
  }

  async function copyCode(/** @type {any} */ button, /** @type {"curl" | "python" | "javascript"} */ language) {
    const text = (await import("./snippets.js"))[language](requestFields(store.get()), place());
    snippet.textContent = text;
    snippet.hidden = false;
    try {
      await navigator.clipboard.writeText(text);
      say(button, "Copied");
    } catch {
      getSelection()?.selectAllChildren(snippet); // without a secure origin there is no clipboard
      say(button, "Selected");
    }
  }

  /** A file of the format and size that are wanted; null: this browser cannot write it. */
  function fileOf(/** @type {Entry} */ { blob, state: { photo } }) {
    const { format, exportSize } = store.get().look;
    const side = exportSize === "photo" ? Math.max(photo?.width ?? 0, photo?.height ?? 0) : Number(exportSize);
    return asFile(blob, format ? `image/${format}` : blob.type, side);
  }

  const saveAs = (/** @type {Entry} */ { state }, /** @type {Blob} */ blob) => save(blob, fileName(state, blob));

  /** A file of another format is painted anew, where that is quick; else, and for another size, it is converted. */
  async function take() {
    if (!current) return;
    if (current.isReduced) return inFull((entry) => fileOf(entry).then((blob) => saveAs(entry, blob ?? entry.blob)));
    const { format, exportSize } = store.get().look;
    const isOther = format !== "" && current.blob.type !== `image/${format}`;
    if (isOther && exportSize === "" && !effective(current.state).isOptimised) {
      return repaint((entry) => {
        setPicture(entry);
        saveAs(entry, entry.blob);
      });
    }
    const file = await fileOf(current);
    if (file) saveAs(current, file);
    else announce("This browser cannot write such files: choose another format", true);
  }

  function setPicture(/** @type {Entry} */ entry) {
    current = entry;
    draw();
  }

  function draw() {
    const state = store.get();
    const isThere = current !== null && isSamePicture(current.state, state);
    download.disabled = copyPicture.disabled = !isThere;
    if (isThere) open.href = /** @type {Entry} */ (current).url;
    else open.removeAttribute("href");
    open.setAttribute("aria-disabled", String(!isThere));
    for (const id of Object.keys(codes)) $(id).disabled = !isPaintable(state);
    copyLink.disabled = toLink(state) === "";
    copyLink.title = copyLink.disabled ? "A link cannot hold a painting of your own: keep it first" : "Copy a link to this look";
  }

  download.addEventListener("click", take);
  copyPicture.addEventListener("click", async () => {
    if (!current) return;
    try {
      await navigator.clipboard.write([new ClipboardItem({ "image/png": asFile(current.blob, "image/png", 0).then((blob) => blob ?? new Blob()) })]);
      say(copyPicture, "The picture is copied");
    } catch {
      announce("This browser does not let the page copy pictures: right-click on it instead", true);
    }
  });
  copyLink.addEventListener("click", async () => {
    const url = new URL(toLink(store.get()), document.baseURI).href;
    snippet.textContent = url;
    try {
      await navigator.clipboard.writeText(url);
      say(copyLink, "The link is copied");
    } catch {
      snippet.hidden = false;
      getSelection()?.selectAllChildren(snippet);
    }
  });
  for (const [id, language] of Object.entries(codes)) {
    const button = $(id);
    button.addEventListener("click", () => copyCode(button, language));
  }
  saveMasks.addEventListener("click", async () => {
    const state = store.get();
    const masks = masksOf(state, "full");
    for (const field of requestFields(state)) {
      if ("file" in field && field.file.role === "mask") {
        save(await maskFile(/** @type {HTMLCanvasElement} */ (masks.get(field.file.key))), field.file.name);
      }
    }
  });

  store.subscribe((state, before, action) => {
    if (action.type === "registered" && current && isSamePicture(current.state, before)) {
      current = { ...current, state: { ...state, look: current.state.look } };
    }
    if (state.mix !== before.mix || state.look !== before.look || state.mask !== before.mask || state.photo !== before.photo) snippet.hidden = true;
    draw();
  });

  return { setPicture, current: () => current };
}
