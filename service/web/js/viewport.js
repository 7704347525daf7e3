/** Zoom and pan: wheel, pinch, drag, buttons and keys. */

import { $ } from "./dom.js";

const MOST = 8;
const STEP = 1.25;
const PAN_PX = 48;

/**
 * @param {object} ends
 * @param {() => boolean} ends.isMasking Pointers paint then.
 * @param {(event: PointerEvent) => void} ends.drag A pointer moves over a picture that fits.
 */
export function createViewport({ isMasking, drag }) {
  const [viewport, frame, level] = [$("#viewport"), $("#frame"), $("#zoom-fit")];
  /** @type {Map<number, PointerEvent>} */
  const pointers = new Map();
  let [zoom, x, y] = [1, 0, 0];

  function apply() {
    x = held(x, viewport.clientWidth, frame.offsetWidth * zoom, frame.offsetLeft);
    y = held(y, viewport.clientHeight, frame.offsetHeight * zoom, frame.offsetTop);
    frame.style.transform = zoom === 1 ? "" : `translate(${x}px, ${y}px) scale(${zoom})`;
    frame.style.setProperty("--zoom", String(zoom));
    level.textContent = `${Math.round(zoom * 100)}%`;
    level.setAttribute("aria-label", `Fit the picture; it is at ${Math.round(zoom * 100)} %`);
    viewport.classList.toggle("is-zoomed", zoom > 1 && !isMasking());
  }

  /** Zoom, and keep the point of the picture that is at this point of the screen. */
  function zoomAt(/** @type {number} */ factor, /** @type {number} */ clientX, /** @type {number} */ clientY) {
    const to = Math.min(MOST, Math.max(1, zoom * factor));
    const box = viewport.getBoundingClientRect();
    const [px, py] = [clientX - box.left - frame.offsetLeft, clientY - box.top - frame.offsetTop];
    x = px - ((px - x) * to) / zoom;
    y = py - ((py - y) * to) / zoom;
    zoom = to;
    apply();
  }

  function zoomBy(/** @type {number} */ factor) {
    const box = viewport.getBoundingClientRect();
    zoomAt(factor, box.left + box.width / 2, box.top + box.height / 2);
  }

  function fit() {
    [zoom, x, y] = [1, 0, 0];
    apply();
  }

  function pan(/** @type {number} */ dx, /** @type {number} */ dy) {
    x += dx;
    y += dy;
    apply();
  }

  viewport.addEventListener("wheel", (/** @type {WheelEvent} */ event) => {
    event.preventDefault();
    zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.002)), event.clientX, event.clientY);
  }, { passive: false });

  viewport.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    if (isMasking() || event.button !== 0) return;
    pointers.set(event.pointerId, event);
    viewport.setPointerCapture(event.pointerId);
    viewport.classList.toggle("is-panning", zoom > 1);
  });
  viewport.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const other = [...pointers.values()].find(({ pointerId }) => pointerId !== event.pointerId);
    if (other) pinch(before, event, other);
    else if (zoom > 1) pan(event.clientX - before.clientX, event.clientY - before.clientY);
    else drag(event);
    pointers.set(event.pointerId, event);
  });
  for (const name of ["pointerup", "pointercancel"]) {
    viewport.addEventListener(name, (/** @type {PointerEvent} */ event) => {
      pointers.delete(event.pointerId);
      viewport.classList.remove("is-panning");
    });
  }

  function pinch(/** @type {PointerEvent} */ before, /** @type {PointerEvent} */ now, /** @type {PointerEvent} */ other) {
    const reach = (/** @type {PointerEvent} */ point) => Math.hypot(point.clientX - other.clientX, point.clientY - other.clientY);
    zoomAt(reach(now) / Math.max(1, reach(before)), (now.clientX + other.clientX) / 2, (now.clientY + other.clientY) / 2);
  }

  viewport.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== viewport || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const moves = { ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (event.key === "+" || event.key === "=") zoomBy(STEP);
    else if (event.key === "-") zoomBy(1 / STEP);
    else if (event.key === "0") fit();
    else if (move) pan(move[0], move[1]);
    else return;
    event.preventDefault();
  });
  $("#zoom-in").addEventListener("click", () => zoomBy(STEP));
  $("#zoom-out").addEventListener("click", () => zoomBy(1 / STEP));
  level.addEventListener("click", fit);
  new ResizeObserver(apply).observe(viewport);

  return { fit };
}

/** Begin of a side: centred if all of it is seen, else without a gap at either end. */
function held(/** @type {number} */ at, /** @type {number} */ room, /** @type {number} */ length, /** @type {number} */ offset) {
  if (length <= room) return (room - length) / 2 - offset;
  return Math.min(-offset, Math.max(room - length - offset, at));
}
