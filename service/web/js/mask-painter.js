/** Painting masks on the picture: with a pointer, or with arrow keys and the space bar. */

import { $, announce, el } from "./dom.js";
import { fillTrack } from "./controls.js";
import { drawMasks, drawStroke, restOf } from "./mask-strokes.js";
import { supports } from "./mix.js";
import { effective } from "./request.js";

const OVERLAY_PX = 640;
const KEY_STEP = 0.02;
/** Elements that have their own undo. */
const WRITTEN_IN = "input:not([type=range], [type=radio]), select, textarea";

/**
 * @param {import("./state.js").Store} store
 * @param {import("./stage.js").Stage} stage
 */
export function createMaskPainter(store, stage) {
  const { viewport, frame } = stage;
  const [overlay, cursor, mode, tools] = [$("#mask-overlay"), $("#brush-cursor"), $("#mask-mode"), $("#mask-tools")];
  const [brush, soft, erase, undo, clear, elsewhere] = ["brush-size", "brush-soft", "mask-erase", "mask-undo", "mask-clear", "elsewhere"].map((id) => $(`#${id}`));
  let isOn = false;
  let isErasing = false;
  /** @type {string | null} What a person chose to paint with. */
  let picked = null;
  /** @type {import("./mask-strokes.js").MaskStroke | null} */
  let stroke = null;
  /** @type {Map<string, HTMLCanvasElement>} */
  let masks = new Map();
  /** @type {[number, number]} */
  let at = [0.5, 0.5];

  const keys = () => store.get().mix.slots.map(({ key }) => key);
  const rest = () => restOf(store.get().mask, keys());
  const chosen = () => (picked !== null && ["photo", ...keys()].includes(picked) ? picked : (keys()[1] ?? keys()[0] ?? "photo"));
  const target = () => (isErasing ? rest() : chosen());

  // ---- drawing

  function redraw() {
    const photo = store.get().photo;
    if (!isOn || !photo) return;
    const scale = OVERLAY_PX / Math.max(photo.width, photo.height);
    overlay.width = Math.max(1, Math.round(photo.width * scale));
    overlay.height = Math.max(1, Math.round(photo.height * scale));
    masks = drawMasks(store.get().mask, keys(), overlay.width, overlay.height);
    tint();
  }

  function tint() {
    const context = overlay.getContext("2d");
    context.clearRect(0, 0, overlay.width, overlay.height);
    [...masks.values()].forEach((mask, index) => {
      const layer = Object.assign(document.createElement("canvas"), { width: mask.width, height: mask.height });
      const colour = /** @type {CanvasRenderingContext2D} */ (layer.getContext("2d"));
      colour.drawImage(mask, 0, 0);
      colour.globalCompositeOperation = "source-in";
      colour.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(`--tint-${index}`);
      colour.fillRect(0, 0, layer.width, layer.height);
      context.drawImage(layer, 0, 0);
    });
  }

  function showCursor() {
    const box = frame.getBoundingClientRect();
    const outer = viewport.getBoundingClientRect();
    const px = (brush.valueAsNumber / 100) * Math.max(box.width, box.height);
    cursor.style.width = cursor.style.height = `${px}px`;
    cursor.style.transform = `translate(${box.left - outer.left + at[0] * box.width - px / 2}px, ${box.top - outer.top + at[1] * box.height - px / 2}px)`;
    cursor.hidden = !isOn;
  }

  function drawTools() {
    const { mix, mask } = store.get();
    const { isOptimised } = effective(store.get());
    const isPossible = supports(mix, "mask") && !isOptimised;
    if (!isPossible) setMode(false);
    mode.disabled = !isPossible;
    const there = mask.strokes.length > 0;
    const keepsPhoto = rest() === "photo" || mask.strokes.some((painted) => painted.target === "photo");
    $("#masks-intro").textContent = isPossible
      ? there ? `The mask is in use.${keepsPhoto ? " Places without a style keep the photo's look." : ""}` : "Paint where each style applies."
      : isOptimised ? "Optimise takes no masks." : mix.slots.length ? "This network takes no masks." : "Take a style first, then paint where it applies.";
    undo.disabled = clear.disabled = !there;
    const choices = [...mix.slots.map(({ key, title }) => ({ key, title })), { key: "photo", title: "Photo" }];
    $("#mask-targets").replaceChildren(...choices.map(chip));
    elsewhere.replaceChildren(...choices.reverse().map(({ key, title }) => el("option", { value: key, selected: key === rest() }, title)));
    erase.setAttribute("aria-pressed", String(isErasing));
  }

  function chip(/** @type {{key: string, title: string}} */ { key, title }, /** @type {number} */ index) {
    const input = el("input", { type: "radio", name: "mask-target", value: key, onchange: () => ((picked = key), (isErasing = false), drawTools()) });
    input.checked = key === chosen();
    const dot = el("i");
    dot.style.setProperty("--tint", key === "photo" ? "var(--line-strong)" : `var(--tint-${index})`);
    return el("label", {}, input, el("span", {}, dot, el("b", {}, title)));
  }

  function drawBrush() {
    $("#brush-size-value").textContent = `${brush.value} %`;
    $("#brush-soft-value").textContent = `${soft.value} %`;
    fillTrack(brush);
    fillTrack(soft);
    showCursor();
  }

  // ---- painting

  /** @param {PointerEvent} event @returns {[number, number]} */
  function place(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  const newStroke = () => ({ target: target(), points: [], size: brush.valueAsNumber / 100, softness: soft.valueAsNumber / 100 });

  function touch() {
    if (!stroke) return;
    stroke.points.push([...at]);
    drawStroke(masks, stroke, stroke.points.length - 1);
    tint();
  }

  function end() {
    if (stroke) store.dispatch({ type: "stroke", stroke });
    stroke = null;
  }

  viewport.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (!isOn || event.button !== 0) return;
    viewport.setPointerCapture(event.pointerId);
    at = place(event);
    stroke = newStroke();
    touch();
  });
  viewport.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!isOn) return;
    at = place(event);
    showCursor();
    touch();
  });
  viewport.addEventListener("pointerup", end);
  viewport.addEventListener("pointercancel", end);
  viewport.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (!isOn || event.target !== viewport) return;
    const moves = { ArrowLeft: [-KEY_STEP, 0], ArrowRight: [KEY_STEP, 0], ArrowUp: [0, -KEY_STEP], ArrowDown: [0, KEY_STEP] };
    const by = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (by) at = [Math.min(1, Math.max(0, at[0] + by[0])), Math.min(1, Math.max(0, at[1] + by[1]))];
    else if (event.key === " ") {
      stroke = newStroke();
      touch();
      end();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    showCursor();
  });

  // ---- tools

  function setMode(/** @type {boolean} */ is) {
    if (is === isOn) return;
    isOn = is;
    mode.setAttribute("aria-pressed", String(is));
    $("span", mode).textContent = is ? "Done" : "Paint";
    tools.hidden = overlay.hidden = !is;
    stage.setMasking(is);
    redraw();
    drawBrush();
    if (is) announce("Painting masks: drag over the picture, or focus it and use the arrow keys and the space bar");
  }

  mode.addEventListener("click", () => setMode(!isOn));
  erase.addEventListener("click", () => ((isErasing = !isErasing), drawTools()));
  $("#mask-fill").addEventListener("click", () => store.dispatch({ type: "stroke", stroke: newStroke() }));
  undo.addEventListener("click", () => store.dispatch({ type: "undo" }));
  clear.addEventListener("click", () => store.dispatch({ type: "clear" }));
  elsewhere.addEventListener("change", () => store.dispatch({ type: "elsewhere", key: elsewhere.value }));
  for (const input of [brush, soft]) input.addEventListener("input", drawBrush);
  document.addEventListener("keydown", (event) => {
    if (/** @type {Element} */ (event.target).closest?.(WRITTEN_IN)) return;
    if (isOn && (event.ctrlKey || event.metaKey) && event.key === "z" && !undo.disabled) {
      event.preventDefault();
      store.dispatch({ type: "undo" });
    }
  });
  drawTools();
  store.subscribe((state, before) => {
    if (state.mask === before.mask && state.mix.slots === before.mix.slots && state.photo === before.photo && state.look.method === before.look.method) return;
    drawTools();
    redraw();
  });
}
