/** Painting masks on the picture: with a pointer, or with arrow keys and Enter. Its tools float over the picture. */

import { $, announce } from "./dom.js";
import { drawOutlines } from "./mask-outline.js";
import { drawMasks, drawStroke, restOf } from "./mask-strokes.js";
import { createMaskTools } from "./mask-tools.js";
import { supports } from "./mix.js";

const OVERLAY_PX = 640;
const KEY_STEP = 0.02;
/** Colours of the outlines, by the order of the styles. */
const TINTS = /** @type {[number, number, number][]} */ ([[255, 92, 58], [72, 156, 255], [255, 200, 60], [70, 205, 140]]);

/**
 * @param {import("./state.js").Store} store
 * @param {import("./stage.js").Stage} stage
 */
export function createMaskPainter(store, stage) {
  const { viewport, frame } = stage;
  const [overlay, cursor, mode, box] = [$("#mask-overlay"), $("#brush-cursor"), $("#mask-mode"), $("#mask-tools")];
  let isOn = false;
  /** @type {import("./mask-strokes.js").MaskStroke | null} */
  let stroke = null;
  /** @type {Map<string, HTMLCanvasElement>} */
  let masks = new Map();
  /** @type {[number, number]} */
  let at = [0.5, 0.5];
  let touches = 0;
  const tools = createMaskTools(store, { end: () => setMode(false), changed: showCursor });
  const keys = () => store.get().mix.slots.map(({ key }) => key);

  // ---- drawing

  function redraw() {
    const photo = store.get().photo;
    if (!isOn || !photo) return;
    const scale = OVERLAY_PX / Math.max(photo.width, photo.height);
    overlay.width = Math.max(1, Math.round(photo.width * scale));
    overlay.height = Math.max(1, Math.round(photo.height * scale));
    masks = drawMasks(store.get().mask, keys(), overlay.width, overlay.height);
    outline();
  }

  /** The style that is everywhere else is outlined by the others. */
  function outline() {
    const rest = restOf(store.get().mask, keys());
    drawOutlines(overlay, keys().map((key) => (key === rest ? null : (masks.get(key) ?? null))), TINTS);
  }

  function showCursor() {
    const inner = frame.getBoundingClientRect();
    const outer = viewport.getBoundingClientRect();
    const px = tools.size() * Math.max(inner.width, inner.height);
    cursor.style.width = cursor.style.height = `${px}px`;
    cursor.style.transform = `translate(${inner.left - outer.left + at[0] * inner.width - px / 2}px, ${inner.top - outer.top + at[1] * inner.height - px / 2}px)`;
    cursor.hidden = !isOn;
  }

  // ---- painting

  /** @param {PointerEvent} event @returns {[number, number]} */
  function place(event) {
    const { left, top, width, height } = frame.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height];
  }

  function touch() {
    if (!stroke) return;
    stroke.points.push([...at]);
    drawStroke(masks, stroke, stroke.points.length - 1);
    outline();
  }

  function end() {
    if (stroke) store.dispatch({ type: "stroke", stroke });
    stroke = null;
  }

  viewport.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    touches += event.pointerType === "touch" ? 1 : 0;
    if (!isOn || event.button !== 0 || viewport.classList.contains("is-held")) return;
    if (touches > 1) {
      stroke = null; // two fingers move the picture
      return redraw();
    }
    viewport.setPointerCapture(event.pointerId);
    at = place(event);
    stroke = tools.stroke(event.altKey);
    touch();
  });
  viewport.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (!isOn) return;
    at = place(event);
    showCursor();
    touch();
  });
  for (const name of ["pointerup", "pointercancel"]) {
    viewport.addEventListener(name, (/** @type {PointerEvent} */ event) => {
      touches = event.pointerType === "touch" ? Math.max(0, touches - 1) : touches;
      end();
    });
  }
  viewport.addEventListener("wheel", showCursor);
  viewport.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (!isOn || event.target !== viewport) return;
    const moves = { ArrowLeft: [-KEY_STEP, 0], ArrowRight: [KEY_STEP, 0], ArrowUp: [0, -KEY_STEP], ArrowDown: [0, KEY_STEP] };
    const by = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (by) at = [Math.min(1, Math.max(0, at[0] + by[0])), Math.min(1, Math.max(0, at[1] + by[1]))];
    else if (event.key === "Enter") {
      stroke = tools.stroke(event.altKey);
      touch();
      end();
    } else return;
    event.preventDefault();
    event.stopImmediatePropagation();
    showCursor();
  });

  function setMode(/** @type {boolean} */ is) {
    if (is && !supports(store.get().mix, "mask")) {
      announce(tools.whyNot(), true);
      tools.explain();
      return;
    }
    if (is === isOn) return;
    isOn = is;
    mode.setAttribute("aria-pressed", String(is));
    box.hidden = overlay.hidden = !is;
    document.body.classList.toggle("is-masking", is);
    stage.setMasking(is);
    redraw();
    tools.draw();
    showCursor();
    if (is) announce("Painting masks: drag over the picture, or focus it and use the arrow keys and Enter");
  }

  mode.addEventListener("click", () => setMode(!isOn));
  store.subscribe((state, before) => {
    if (state.mask === before.mask && state.mix.slots === before.mix.slots && state.photo === before.photo) return;
    if (isOn && !supports(state.mix, "mask")) setMode(false);
    tools.draw();
    redraw();
  });
}
