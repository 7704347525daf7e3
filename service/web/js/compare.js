/** Before and after: the painting covers the photo to the right of a divider, which stands in the window at any zoom. */

import { $ } from "./dom.js";

const START = 30;
const SWEEP_MS = 1100;
const KEYS = { ArrowLeft: -2, ArrowDown: -2, ArrowRight: 2, ArrowUp: 2, PageDown: -10, PageUp: 10 };

/**
 * The divider over the stage's two pictures.
 * @param {(share: number) => number} across From shares of the window's width to shares of the picture's.
 */
export function createCompare(across) {
  const [viewport, frame, divider, toggle] = [$("#viewport"), $("#frame"), $("#divider"), $("#compare")];
  let cut = START;
  let isOn = true;
  let isMasking = false;
  let isPainted = false;
  let isPeeking = false;

  function show(/** @type {number} */ share) {
    const visible = isOn && !isMasking && isPainted && !isPeeking;
    const left = isPeeking || !isPainted ? 1 : visible ? across(share / 100) : 0;
    frame.style.setProperty("--cut", `${Math.min(100, Math.max(0, left * 100))}%`);
    viewport.style.setProperty("--divider", `${share}%`);
    divider.hidden = !visible;
    divider.setAttribute("aria-valuenow", String(Math.round(share)));
    divider.setAttribute("aria-valuetext", `${Math.round(share)} % photo`);
    toggle.setAttribute("aria-pressed", String(isOn));
    toggle.disabled = !isPainted;
  }

  function move(/** @type {number} */ share) {
    cut = Math.min(100, Math.max(0, share));
    show(cut);
  }

  /** @param {PointerEvent} event */
  function follow(event) {
    if (!isOn || isMasking || !isPainted) return;
    const { left, width } = viewport.getBoundingClientRect();
    move(((event.clientX - left) / width) * 100);
  }

  /** Moves from the photo to the painting, once, to show what happened. */
  function sweep() {
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return move(cut);
    const began = performance.now();
    const end = cut;
    const step = (/** @type {number} */ now) => {
      const share = Math.min(1, Math.max(0, now - began) / SWEEP_MS);
      if (cut !== end) return; // someone took hold of it
      show(100 + (end - 100) * (1 - (1 - share) ** 3));
      if (share < 1) requestAnimationFrame(step);
    };
    requestAnimationFrame(step);
  }

  divider.addEventListener("pointerdown", (/** @type {PointerEvent} */ event) => {
    event.stopPropagation();
    divider.setPointerCapture(event.pointerId);
  });
  divider.addEventListener("pointermove", (/** @type {PointerEvent} */ event) => {
    if (divider.hasPointerCapture(event.pointerId)) follow(event);
  });
  divider.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const step = KEYS[/** @type {keyof typeof KEYS} */ (event.key)];
    if (step) move(cut + step);
    else if (event.key === "Home") move(0);
    else if (event.key === "End") move(100);
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
  toggle.addEventListener("click", () => {
    isOn = !isOn;
    show(cut);
  });

  return {
    follow,
    /** The picture stands elsewhere in its window. */
    moved: () => show(cut),
    /** @param {boolean} is Whether there is a painting now. */
    setPainted(is) {
      const isFirst = is && !isPainted;
      isPainted = is;
      show(cut);
      if (isFirst && isOn && !isMasking) sweep();
    },
    /** @param {boolean} is */
    setMasking(is) {
      isMasking = is;
      show(cut);
    },
    /** Only the photo, as long as a key is held. @param {boolean} is */
    peek(is) {
      if (isPeeking === is) return;
      isPeeking = is;
      show(cut);
    },
  };
}
