/** Photos and paintings from outside: chosen, dropped or pasted. */

import { $, announce, showText } from "./dom.js";
import { ask, Problem } from "./api.js";
import { measured, smaller } from "./pictures.js";
import { PREVIEW_PX } from "./request.js";
import { stem } from "./words.js";

const LARGEST_PREVIEW_PX = 2048;

/**
 * @param {import("./state.js").Store} store
 * @param {import("./notice.js").Notice} notice
 */
export function createIntake(store, notice) {
  let uploads = 0;

  /** @param {File} file */
  async function takePhoto(file) {
    notice.clear();
    try {
      store.dispatch({ type: "photo", photo: await photoOf(file, false) });
      announce(`The photo is ${file.name}`);
    } catch {
      notice.error(await whyNot(file, "content"));
    }
  }

  /** @param {File} file */
  async function takeStyle(file) {
    const place = $("#style-error");
    showText(place, "");
    try {
      await measured(file);
      const { models, controls } = uploadModels();
      const url = URL.createObjectURL(await smaller(file, 512));
      const slot = {
        key: `upload-${++uploads}`, id: null, title: stem(file.name), artist: "", year: null,
        models, controls, hasPicture: true, preview: null, upload: { blob: file, name: file.name, url },
      };
      store.dispatch({ type: "upload", slot });
      announce(`${slot.title} is the style now`);
    } catch (error) {
      const problem = error instanceof Problem ? error : await whyNot(file, "style");
      showText(place, problem.detail);
      announce(problem.detail, true);
    }
  }

  /** The networks that take uploads, and what the one that does by default supports. */
  function uploadModels() {
    const models = store.get().catalog.models.filter(({ any_style }) => any_style);
    const usual = models.find(({ is_default }) => is_default);
    if (!usual) throw new Problem({ title: "No network", status: 0, detail: "No network here takes paintings of your own." });
    return { models: models.map(({ id }) => id), controls: usual.controls };
  }

  /** The browser cannot read a file; the service knows best what is wrong with it. */
  async function whyNot(/** @type {File} */ file, /** @type {"content" | "style"} */ field) {
    const { photo, catalog } = store.get();
    const form = new FormData();
    form.append("content", field === "content" || !photo ? file : photo.blob, "photo");
    if (field === "style") form.append("style", file, file.name);
    else form.append("style_id", catalog.styles[0]?.id ?? "");
    form.append("size", "64");
    try {
      await ask("/stylize", { method: "POST", body: form });
    } catch (problem) {
      if (problem instanceof Problem) {
        const { title, status, detail, errors } = problem;
        return new Problem({ title, status, detail: `${file.name}: ${detail}`, errors });
      }
    }
    return new Problem({ title: "Unreadable", status: 0, detail: `${file.name} cannot be shown by this browser.` });
  }

  store.subscribe((_, __, { type }) => {
    if (["choose", "toggle", "upload"].includes(type)) showText($("#style-error"), "");
  });

  const take = (/** @type {string} */ as, /** @type {File | null | undefined} */ file) => file && (as === "style" ? takeStyle(file) : takePhoto(file));

  for (const as of ["photo", "style"]) {
    const input = $(`#${as}-file`);
    $(`#choose-${as}`).addEventListener("click", () => input.click());
    input.addEventListener("change", () => {
      take(as, input.files[0]);
      input.value = "";
    });
  }

  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])][0];
    if (!file) return;
    event.preventDefault();
    take(document.activeElement?.closest("#styles, #mix") ? "style" : "photo", file);
  });

  // ---- dropping: the two halves of the page choose between photo and style

  const area = $("#drop");
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files");
  const zoneOf = (/** @type {Event} */ event) => /** @type {Element} */ (event.target).closest?.("[data-drop]");
  document.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    area.hidden = false;
    for (const zone of area.children) zone.classList.toggle("is-over", zone === zoneOf(event));
  });
  document.addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) area.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    area.hidden = true;
    take(zoneOf(event)?.dataset.drop ?? "photo", event.dataTransfer?.files[0]);
  });

  /** The photo that comes with the page. @param {string} path */
  async function takeSample(path) {
    try {
      const answer = await fetch(path);
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      const blob = await answer.blob();
      const photo = await photoOf(new File([blob], "sample.jpg", { type: blob.type }), true);
      if (store.get().photo === null) store.dispatch({ type: "photo", photo });
    } catch {
      const detail = "The sample photo could not be loaded. Choose a photo of your own, or try again.";
      if (store.get().photo === null) notice.error(new Problem({ title: "No sample", status: 0, detail }), () => takeSample(path));
    }
  }

  return { takeSample };
}

/** @param {File} file @param {boolean} isSample @returns {Promise<import("./state.js").Photo>} */
async function photoOf(file, isSample) {
  const { width, height } = await measured(file);
  const shown = await smaller(file, LARGEST_PREVIEW_PX);
  smaller(file, PREVIEW_PX); // the first preview will need it
  return { blob: file, name: file.name, url: URL.createObjectURL(shown), width, height, isSample };
}
