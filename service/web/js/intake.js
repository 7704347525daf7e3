/** Photos and paintings from outside: chosen, dropped or pasted. */

import { $, announce, showText } from "./dom.js";
import { address, ask, Problem } from "./api.js";
import { measured, smaller } from "./pictures.js";
import { PREVIEW_PX } from "./request.js";
import { stem } from "./words.js";

const LARGEST_PREVIEW_PX = 2048;

/**
 * @param {import("./state.js").Store} store
 * @param {import("./notice.js").Notice} notice
 * @param {(files: File[]) => void} takeMany Several photos at once.
 */
export function createIntake(store, notice, takeMany) {

  /** @param {File} file */
  async function takePhoto(file) {
    notice.clear();
    try {
      store.dispatch({ type: "photo", photo: await photoOf(file, "") });
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
        key: `upload-${crypto.randomUUID()}`, id: null, title: stem(file.name), artist: "", year: null,
        models, controls, hasPicture: true, picture: null, upload: { blob: file, name: file.name, url },
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
    if (!usual) throw new Problem({ title: "No network", status: -1, detail: "No network here takes paintings of your own." });
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
    return new Problem({ title: "Unreadable", status: -1, detail: `${file.name} cannot be shown by this browser.` });
  }

  /** @param {string | undefined} as @param {Iterable<File> | null | undefined} files */
  function take(as, files) {
    const [file, ...more] = files ?? [];
    if (!file) return;
    if (as === "style") takeStyle(file);
    else if (more.length > 0) takeMany([file, ...more]);
    else takePhoto(file);
  }

  for (const as of ["photo", "style"]) {
    const input = $(`#${as}-file`);
    input.addEventListener("change", () => {
      take(as, [...input.files]);
      input.value = "";
    });
  }
  $("#choose-file").addEventListener("click", () => {
    $("#photo-menu").hidePopover();
    $("#photo-file").click();
  });

  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    take(document.activeElement?.closest("#styles, #mix") ? "style" : "photo", files);
  });

  // ---- dropping: the two halves of the page choose between photo and style

  const area = $("#drop");
  const hasFiles = (/** @type {DragEvent} */ event) => event.dataTransfer?.types.includes("Files") && !isOurs;
  let isOurs = false; // a picture that is dragged out of the page
  document.addEventListener("dragstart", () => (isOurs = true));
  document.addEventListener("dragend", () => (isOurs = false));
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
    take(zoneOf(event)?.dataset.drop ?? "photo", event.dataTransfer?.files);
  });

  /** A photo that comes with the page. @param {string} path @param {boolean} [isArrival] */
  async function takeSample(path, isArrival = false) {
    try {
      const answer = await fetch(address(path));
      if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
      const blob = await answer.blob();
      const photo = await photoOf(new File([blob], path.replace(/^.*\//, ""), { type: blob.type }), path);
      if (!isArrival || store.get().photo === null) store.dispatch({ type: "photo", photo, isArrival });
    } catch {
      const detail = "The sample photo did not come. Choose a photo of your own, or try again.";
      notice.error(new Problem({ title: "No sample", status: -1, detail }), () => takeSample(path, isArrival));
    }
  }

  return { takeSample };
}

/** @param {File} file @param {string} sample Its address, if it came with the page. @returns {Promise<import("./state.js").Photo>} */
async function photoOf(file, sample) {
  const { width, height } = await measured(file);
  const shown = await smaller(file, LARGEST_PREVIEW_PX);
  smaller(file, PREVIEW_PX); // the first preview will need it
  return { id: crypto.randomUUID(), blob: file, name: file.name, url: URL.createObjectURL(shown), width, height, sample };
}
