/** The contact sheet: three styles in four strengths. A click takes one. */

import { $, el } from "./dom.js";
import { ask } from "./api.js";
import { save } from "./export.js";
import { only } from "./mix.js";
import { variantFor } from "./paintings.js";
import { requestForm } from "./request.js";

const STRENGTHS = [0.25, 0.5, 0.75, 1];
const STYLES = 3;
const SIDE_PX = 256;
const AT_ONCE = 3;

/**
 * @param {import("./state.js").Store} store
 * @param {import("./wall.js").Wall} wall
 */
export function createContact(store, wall) {
  const [dialog, sheet, keep] = [$("#contact-dialog"), $("#contact-sheet"), $("#contact-save")];
  let controller = new AbortController();

  /** Those of the mix, and their neighbours on the wall. */
  function styles() {
    const { mix } = store.get();
    const paintings = wall.all();
    const at = paintings.findIndex(({ variants }) => variants.some(({ key }) => key === mix.slots[0]?.key));
    const more = [...paintings.slice(at + 1), ...paintings.slice(0, Math.max(0, at))].map((painting) => variantFor(painting, []));
    return [...mix.slots, ...more].slice(0, STYLES);
  }

  /** @param {import("./mix.js").Slot} slot @param {number} alpha */
  function cell(slot, alpha) {
    const words = `${slot.title}, ${Math.round(alpha * 100)} %`;
    const image = el("img", { alt: words });
    const take = () => {
      dialog.close();
      const { look, mask, uploads } = store.get();
      store.dispatch({ type: "load", mix: only(slot), look: { ...look, alpha, method: "feedforward" }, mask, uploads });
    };
    const view = el("button", { type: "button", class: "contact-cell", onclick: take, title: words }, image, el("span", {}, `${Math.round(alpha * 100)} %`));
    const state = { ...store.get(), mix: only(slot), look: { ...store.get().look, alpha, format: "" }, mask: { strokes: [], elsewhere: null } };
    return { view, image, state };
  }

  async function open() {
    controller = new AbortController();
    const { signal } = controller;
    keep.disabled = true;
    const rows = styles().map((slot) => ({ slot, cells: STRENGTHS.map((alpha) => cell(slot, alpha)) }));
    sheet.replaceChildren(...rows.flatMap(({ slot, cells }) => [el("p", { class: "contact-title" }, slot.title), ...cells.map(({ view }) => view)]));
    dialog.showModal();
    const waiting = rows.flatMap(({ cells }) => cells);
    await Promise.all(Array.from({ length: AT_ONCE }, async () => {
      for (let next = waiting.shift(); next && !signal.aborted; next = waiting.shift()) {
        try {
          const answer = await ask("/stylize", { method: "POST", body: await requestForm(next.state, SIDE_PX), signal });
          next.image.src = URL.createObjectURL(await answer.blob());
        } catch {
          next.view.classList.add("is-missing");
        }
      }
    }));
    keep.disabled = signal.aborted;
  }

  /** All of it as one picture. */
  function draw() {
    const images = /** @type {HTMLImageElement[]} */ ([...sheet.querySelectorAll("img")]);
    const [width, height] = [images[0].naturalWidth, images[0].naturalHeight];
    const canvas = Object.assign(document.createElement("canvas"), { width: width * STRENGTHS.length, height: height * STYLES });
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    images.forEach((image, index) => {
      if (image.naturalWidth) context.drawImage(image, (index % STRENGTHS.length) * width, Math.floor(index / STRENGTHS.length) * height, width, height);
    });
    canvas.toBlob((blob) => blob && save(blob, "contact-sheet.jpg"), "image/jpeg", 0.92);
  }

  keep.addEventListener("click", draw);
  dialog.addEventListener("close", () => {
    controller.abort();
    for (const image of sheet.querySelectorAll("img[src]")) URL.revokeObjectURL(image.src);
    sheet.replaceChildren();
  });
  return { open };
}
