/** Tools for masks: target, brush or eraser, size and softness; fill, invert, import, clear. */

import { $, announce, el } from "./dom.js";
import { fillTrack } from "./controls.js";
import { restOf } from "./mask-strokes.js";
import { supports } from "./mix.js";

const LARGEST_PX = 768;

/**
 * @param {import("./state.js").Store} store
 * @param {{end: () => void, changed: () => void}} ends
 */
export function createMaskTools(store, { end, changed }) {
  const [brush, soft, erase, clear, elsewhere, save, file] = ["brush-size", "brush-soft", "mask-erase", "mask-clear", "elsewhere", "save-masks", "mask-file"].map((id) => $(`#${id}`));
  let isErasing = false;
  /** @type {string | null} What a person chose to paint with. */
  let picked = null;

  const keys = () => store.get().mix.slots.map(({ key }) => key);
  const rest = () => restOf(store.get().mask, keys());
  const chosen = () => (picked !== null && ["photo", ...keys()].includes(picked) ? picked : (keys()[1] ?? keys()[0] ?? "photo"));
  const plain = (/** @type {object} */ more = {}) => ({ target: chosen(), points: [], size: 1, softness: 0, ...more });

  function draw() {
    const { mix, mask } = store.get();
    const there = mask.strokes.length > 0;
    const keepsPhoto = rest() === "photo" || mask.strokes.some((painted) => painted.target === "photo");
    $("#masks-intro").textContent = there && keepsPhoto ? "Places without a style keep the photo's look." : "Drag over the picture: the style applies where you paint. Hold Alt to erase, space to move the picture.";
    clear.disabled = save.disabled = !there;
    const choices = [...mix.slots.map(({ key, title }) => ({ key, title })), { key: "photo", title: "Photo" }];
    $("#mask-targets").replaceChildren(...choices.map(chip));
    elsewhere.replaceChildren(...choices.reverse().map(({ key, title }) => el("option", { value: key, selected: key === rest() }, title)));
    erase.setAttribute("aria-pressed", String(isErasing));
    drawBrush();
  }

  function chip(/** @type {{key: string, title: string}} */ { key, title }, /** @type {number} */ index) {
    const input = el("input", { type: "radio", name: "mask-target", value: key, onchange: () => ((picked = key), (isErasing = false), draw()) });
    input.checked = key === chosen();
    const dot = el("i");
    dot.style.setProperty("--tint", key === "photo" ? "var(--line-strong)" : `var(--tint-${index})`);
    return el("label", { title }, input, el("span", {}, dot, el("b", {}, title)));
  }

  function drawBrush() {
    $("#brush-size-value").textContent = `${brush.value} %`;
    $("#brush-soft-value").textContent = `${soft.value} %`;
    fillTrack(brush);
    fillTrack(soft);
    changed();
  }

  /** A picture as a mask: where it is light, the style applies. */
  async function take(/** @type {File} */ picture) {
    const bitmap = await createImageBitmap(picture);
    const scale = Math.min(1, LARGEST_PX / Math.max(bitmap.width, bitmap.height));
    const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
    const context = /** @type {CanvasRenderingContext2D} */ (Object.assign(document.createElement("canvas"), { width, height }).getContext("2d"));
    context.drawImage(bitmap, 0, 0, width, height);
    const image = context.getImageData(0, 0, width, height);
    for (let pixel = 0; pixel < image.data.length; pixel += 4) {
      const [r, g, b, a] = image.data.subarray(pixel, pixel + 4);
      image.data.set([255, 255, 255, ((0.2126 * r + 0.7152 * g + 0.0722 * b) * a) / 255], pixel);
    }
    store.dispatch({ type: "stroke", stroke: plain({ image }) });
    announce(`${picture.name} is the mask of ${$("#mask-targets :checked ~ span").textContent}`);
  }

  function setErasing(/** @type {boolean} */ is) {
    isErasing = is;
    draw();
  }

  $("#mask-done").addEventListener("click", end);
  erase.addEventListener("click", () => setErasing(!isErasing));
  $("#mask-fill").addEventListener("click", () => store.dispatch({ type: "stroke", stroke: plain() }));
  $("#mask-invert").addEventListener("click", () => store.dispatch({ type: "stroke", stroke: plain({ inverts: true }) }));
  $("#mask-import").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    const [picture] = file.files;
    file.value = "";
    if (picture) take(picture).catch(() => announce(`${picture.name} cannot be read as a picture`, true));
  });
  clear.addEventListener("click", () => store.dispatch({ type: "clear" }));
  elsewhere.addEventListener("change", () => store.dispatch({ type: "elsewhere", key: elsewhere.value }));
  for (const input of [brush, soft]) input.addEventListener("input", drawBrush);

  return {
    draw,
    size: () => brush.valueAsNumber / 100,
    /** A new stroke, without points. @param {boolean} erases For this one alone. */
    stroke: (erases) => ({ target: isErasing !== erases ? rest() : chosen(), points: [], size: brush.valueAsNumber / 100, softness: soft.valueAsNumber / 100 }),
    whyNot: () => (store.get().mix.slots.length && !supports(store.get().mix, "mask") ? "The network of this style takes no masks." : "Take a painting first, then paint where it applies."),
    explain() {
      const note = $("#mix-note");
      note.hidden = false;
      note.textContent = this.whyNot();
    },
  };
}
