/** The mixing pad: each style has a corner, and the nearer the point, the more of it. */

import { $, el } from "./dom.js";
import { weights } from "./mix.js";
import { showPreview } from "./previews.js";

const STEP = 0.05;

/** @param {import("./state.js").Store} store */
export function createMixingPad(store) {
  const [pad, corners, handle] = [$("#pad"), $("#pad-corners"), $("#pad-point")];

  /** @param {import("./mix.js").Point} point @param {boolean} live */
  function move(point, live) {
    const held = { x: Math.min(1, Math.max(0, point.x)), y: Math.min(1, Math.max(0, point.y)) };
    store.dispatch({ type: "point", point: held, live });
  }

  /** @param {PointerEvent} event @param {boolean} live */
  function follow(event, live) {
    const { left, top, width, height } = pad.getBoundingClientRect();
    move({ x: (event.clientX - left) / width, y: (event.clientY - top) / height }, live);
  }

  function drawCorners() {
    const { slots } = store.get().mix;
    pad.hidden = slots.length < 2;
    pad.dataset.count = String(slots.length);
    corners.replaceChildren(...slots.map((slot) => {
      const image = el("img", { alt: "" });
      showPreview(image, slot);
      return el("div", { class: "pad-corner" }, image, el("span", { class: "pad-name" }, el("i", {}, slot.title), el("b", {})));
    }));
  }

  function drawPoint() {
    const { slots, point } = store.get().mix;
    const shares = weights(slots.length, point).map((share) => Math.round(share * 100));
    [...corners.children].forEach((corner, index) => ($("b", corner).textContent = `${shares[index]} %`));
    handle.style.setProperty("--x", `${point.x * 100}%`);
    handle.style.setProperty("--y", slots.length === 2 ? "50%" : `${point.y * 100}%`);
    handle.setAttribute("aria-valuenow", String(shares[0] ?? 0));
    handle.setAttribute("aria-valuetext", slots.map(({ title }, index) => `${title} ${shares[index]} %`).join(", "));
  }

  pad.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    event.preventDefault();
    handle.focus({ focusVisible: false });
    follow(event, true);
  });
  pad.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (pad.hasPointerCapture(event.pointerId)) follow(event, true);
  });
  pad.addEventListener("pointerup", (/** @type {PointerEvent} */ event) => follow(event, false));
  handle.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
    const by = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (!by) return;
    event.preventDefault();
    const { x, y } = store.get().mix.point;
    move({ x: x + by[0], y: y + by[1] }, event.repeat);
  });
  handle.addEventListener("keyup", (/** @type {KeyboardEvent} */ event) => {
    if (event.key.startsWith("Arrow")) move(store.get().mix.point, false);
  });
  store.subscribe((state, before) => {
    if (state.mix.slots !== before.mix.slots) drawCorners();
    if (state.mix !== before.mix) drawPoint();
  });
}
