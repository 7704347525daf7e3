/** Many photos in one look, as one zip. */

import { $, announce, el, showText } from "./dom.js";
import { Problem, stylize } from "./api.js";
import { save } from "./export.js";
import { measured } from "./pictures.js";
import { isLong, requestForm } from "./request.js";
import { ending, stem, titleOf } from "./words.js";

const MOST = 10;

/** @param {import("./state.js").Store} store */
export function createBatch(store) {
  const [dialog, list, look, error, input, start] = ["batch-dialog", "batch-list", "batch-look", "batch-error", "batch-file", "batch-start"].map((id) => $(`#${id}`));
  /** @type {File[]} */
  let files = [];
  let controller = new AbortController();

  function draw() {
    const { mix } = store.get();
    look.textContent = mix.slots.length ? `All are painted after ${titleOf(mix)}, as the picture is now; masks are left out.` : "Take a painting first: it is what they are painted after.";
    list.replaceChildren(...files.map((file) => el("li", {}, el("span", { class: "batch-name" }, file.name), el("span", { class: "batch-state quiet" }, "waits"))));
    start.disabled = files.length === 0 || mix.slots.length === 0;
  }

  /** @param {File[]} chosen */
  function open(chosen) {
    files = chosen.slice(0, MOST);
    showText(error, chosen.length > MOST ? `These are ${chosen.length} photos; the first ${MOST} are taken.` : "");
    draw();
    if (!dialog.open) dialog.showModal();
  }

  /** @param {File} file @param {AbortSignal} signal */
  async function paint(file, signal) {
    const state = store.get();
    const size = await measured(file);
    const photo = { id: "", blob: file, name: file.name, url: "", sample: "", ...size };
    const one = { ...state, photo, mask: { strokes: [], elsewhere: null }, look: { ...state.look, method: /** @type {const} */ ("feedforward") } };
    for (;;) {
      try {
        return (await stylize(await requestForm(isLong(one) ? { ...one, look: { ...one.look, size: "1024" } } : one, "full"), signal)).blob;
      } catch (problem) {
        if (signal.aborted || !(problem instanceof Problem && problem.passes)) throw problem;
        await new Promise((resolve) => setTimeout(resolve, problem.retryAfterS * 1000));
      }
    }
  }

  async function run() {
    controller = new AbortController();
    const { signal } = controller;
    start.disabled = true;
    showText(error, "");
    const states = /** @type {HTMLElement[]} */ ([...list.querySelectorAll(".batch-state")]);
    /** @type {{name: string, input: Blob}[]} */
    const painted = [];
    for (const [index, file] of files.entries()) {
      states[index].textContent = "is painted";
      try {
        const blob = await paint(file, signal);
        painted.push({ name: `${String(index + 1).padStart(2, "0")}-${stem(file.name)}.${ending(blob.type)}`, input: blob });
        states[index].textContent = "done";
      } catch (problem) {
        if (signal.aborted) return;
        states[index].textContent = problem instanceof Problem ? problem.spoken : "This browser cannot read it.";
      }
    }
    if (painted.length === 0) return showText(error, "None of them could be painted.");
    const { downloadZip } = await import("../vendor/client-zip.js");
    save(await downloadZip(painted).blob(), `${titleOf(store.get().mix).toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-")}.zip`);
    announce(`${painted.length} pictures are in the zip`);
    start.disabled = false;
  }

  $("#batch-choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    input.value = "";
    if (chosen.length > 0) open(chosen);
  });
  start.addEventListener("click", run);
  dialog.addEventListener("close", () => controller.abort());
  return {
    /** @param {File[]} [chosen] */
    open: (chosen = files) => open(chosen),
  };
}
