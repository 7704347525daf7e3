/** Pointers on the picture: one moves it or the divider, two zoom and move it, a double tap fits or fills. */

/**
 * @param {HTMLElement} viewport
 * @param {object} ends
 * @param {() => boolean} ends.isMasking One pointer paints then, and is not ours.
 * @param {() => boolean} ends.isZoomed
 * @param {(factor: number, clientX: number, clientY: number) => void} ends.zoomAt
 * @param {(dx: number, dy: number) => void} ends.pan
 * @param {(event: PointerEvent) => void} ends.drag One pointer moves over a picture that fits.
 * @param {() => void} ends.toggle
 */
export function createGestures(viewport, { isMasking, isZoomed, zoomAt, pan, drag, toggle }) {
  /** @type {Map<number, {x: number, y: number, pans: boolean}>} */
  const pointers = new Map();

  viewport.addEventListener("wheel", (event) => {
    event.preventDefault();
    const isTouchpadPan = !event.ctrlKey && event.deltaMode === 0 && event.deltaX !== 0 && isZoomed();
    if (isTouchpadPan) pan(-event.deltaX, -event.deltaY);
    else zoomAt(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : event.ctrlKey ? 0.01 : 0.002)), event.clientX, event.clientY);
  }, { passive: false });

  viewport.addEventListener("pointerdown", (event) => {
    const pans = event.button === 1 || viewport.classList.contains("is-held");
    if (!pans && (event.button !== 0 || (event.pointerType === "mouse" && isMasking()))) return;
    pointers.set(event.pointerId, { x: event.clientX, y: event.clientY, pans });
    if (!isMasking() || pans) viewport.setPointerCapture(event.pointerId);
    viewport.classList.toggle("is-panning", isZoomed() || pans);
  });

  viewport.addEventListener("pointermove", (event) => {
    const before = pointers.get(event.pointerId);
    if (!before) return;
    const now = { x: event.clientX, y: event.clientY, pans: before.pans };
    const other = [...pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) pinch(before, now, other);
    else if (before.pans || (isZoomed() && !isMasking())) pan(now.x - before.x, now.y - before.y);
    else if (!isMasking()) drag(event);
    pointers.set(event.pointerId, now);
  });

  for (const name of /** @type {const} */ (["pointerup", "pointercancel"])) {
    viewport.addEventListener(name, (event) => {
      pointers.delete(event.pointerId);
      viewport.classList.remove("is-panning");
    });
  }
  viewport.addEventListener("dblclick", (event) => {
    if (!isMasking() && event.target instanceof HTMLImageElement) toggle();
  });

  /**
   * Zoom and move: the place below the two fingers stays below them.
   * @typedef {{x: number, y: number}} Place
   * @param {Place} before @param {Place} now @param {Place} other
   */
  function pinch(before, now, other) {
    const reach = (/** @type {Place} */ { x, y }) => Math.max(1, Math.hypot(x - other.x, y - other.y));
    pan((now.x - before.x) / 2, (now.y - before.y) / 2);
    zoomAt(reach(now) / reach(before), (now.x + other.x) / 2, (now.y + other.y) / 2);
  }
}
