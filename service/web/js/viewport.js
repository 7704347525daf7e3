/** Zoom and pan of the picture in its window. Zoom 1 fits; it is shown in per cent of the picture's own pixels. */

import { $ } from "./dom.js";
import { createGestures } from "./gestures.js";

const MOST_PERCENT = 1600;
const STEP = 1.25;
const PAN_PX = 48;
/** On a narrow screen a picture that would leave more than this of the window empty fills it. */
const EMPTY_SHARE = 0.35;

/**
 * @param {object} ends
 * @param {() => boolean} ends.isMasking Pointers paint then.
 * @param {(event: PointerEvent) => void} ends.drag A pointer moves over a picture that fits.
 * @param {() => void} ends.moved The picture stands elsewhere in its window.
 */
export function createViewport({ isMasking, drag, moved }) {
  const [viewport, frame, level] = [$("#viewport"), $("#frame"), $("#zoom-level")];
  let [zoom, x, y] = [1, 0, 0];
  let [width, height] = [0, 0]; // of the picture when it fits, in pixels of the page
  let photo = { width: 3, height: 2 };
  let pixels = 512; // width of the result
  let isFilling = false;
  let room = { width: 0, height: 0 }; // of the window, when the picture was last laid out

  const onePercent = () => pixels / (width * devicePixelRatio * 100);
  const oneToOne = () => 100 * onePercent();

  /** Fit the picture to the window; the place in its middle stays there. */
  function layout() {
    const middle = { x: (room.width / 2 - x) / (width * zoom || 1), y: (room.height / 2 - y) / (height * zoom || 1) };
    const [roomWidth, roomHeight] = [viewport.clientWidth, viewport.clientHeight];
    room = { width: roomWidth, height: roomHeight };
    const scale = Math.min(roomWidth / photo.width, roomHeight / photo.height);
    [width, height] = [Math.max(1, photo.width * scale), Math.max(1, photo.height * scale)];
    frame.style.width = `${width}px`;
    frame.style.height = `${height}px`;
    if (isFilling) zoom = filling();
    x = roomWidth / 2 - middle.x * width * zoom;
    y = roomHeight / 2 - middle.y * height * zoom;
    apply();
  }

  const filling = () => Math.max(viewport.clientWidth / width, viewport.clientHeight / height);

  function apply() {
    x = held(x, viewport.clientWidth, width * zoom);
    y = held(y, viewport.clientHeight, height * zoom);
    frame.style.transform = `translate(${x}px, ${y}px) scale(${zoom})`;
    frame.style.setProperty("--zoom", String(zoom));
    if (document.activeElement !== level) level.value = `${Math.round(zoom / onePercent())} %`;
    viewport.classList.toggle("is-zoomed", zoom > 1.001 && !isMasking());
    frame.classList.toggle("is-pixelated", zoom / onePercent() >= 400);
    moved();
  }

  /** Zoom, and keep the point of the picture that is at this point of the screen. */
  function zoomAt(/** @type {number} */ factor, /** @type {number} */ clientX, /** @type {number} */ clientY) {
    const [least, most] = [Math.min(1, oneToOne()), Math.max(1, MOST_PERCENT * onePercent())];
    const to = Math.min(most, Math.max(least, zoom * factor));
    const box = viewport.getBoundingClientRect();
    const [px, py] = [clientX - box.left, clientY - box.top];
    [x, y] = [px - ((px - x) * to) / zoom, py - ((py - y) * to) / zoom];
    zoom = to;
    isFilling = false;
    apply();
  }

  function zoomBy(/** @type {number} */ factor) {
    const box = viewport.getBoundingClientRect();
    zoomAt(factor, box.left + box.width / 2, box.top + box.height / 2);
  }

  function fit() {
    [zoom, isFilling] = [1, false];
    apply();
  }

  /** Edge to edge, where that shows more of the window than it hides of the picture. */
  function fill() {
    isFilling = true;
    [zoom, x, y] = [filling(), 0, 0];
    x = (viewport.clientWidth - width * zoom) / 2;
    y = (viewport.clientHeight - height * zoom) / 2;
    apply();
  }

  /** As a picture is first shown. */
  function arrive() {
    const isNarrow = matchMedia("(max-width: 860px)").matches;
    const empty = 1 - (width * height) / Math.max(1, viewport.clientWidth * viewport.clientHeight);
    if (isNarrow && empty > EMPTY_SHARE) fill();
    else fit();
  }

  function pan(/** @type {number} */ dx, /** @type {number} */ dy) {
    [x, y, isFilling] = [x + dx, y + dy, false];
    apply();
  }

  createGestures(viewport, { isMasking, isZoomed: () => zoom > 1.001, zoomAt, pan, drag, toggle: () => (zoom > 1.001 ? fit() : fill()) });

  viewport.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.target !== viewport || event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const moves = { ArrowLeft: [PAN_PX, 0], ArrowRight: [-PAN_PX, 0], ArrowUp: [0, PAN_PX], ArrowDown: [0, -PAN_PX] };
    const move = moves[/** @type {keyof typeof moves} */ (event.key)];
    if (!move) return;
    pan(move[0], move[1]);
    event.preventDefault();
  });
  $("#zoom-in").addEventListener("click", () => zoomBy(STEP));
  $("#zoom-out").addEventListener("click", () => zoomBy(1 / STEP));
  $("#zoom-fit").addEventListener("click", fit);
  $("#zoom-one").addEventListener("click", () => zoomBy(oneToOne() / zoom));
  level.addEventListener("change", () => {
    const percent = Number.parseFloat(level.value.replace(",", "."));
    level.blur();
    if (percent > 0) zoomBy((percent * onePercent()) / zoom);
    else apply();
  });
  level.addEventListener("focus", () => level.select());
  new ResizeObserver(layout).observe(viewport);

  return {
    zoomBy: (/** @type {1 | -1} */ direction) => zoomBy(STEP ** direction),
    fit,
    /** @param {{width: number, height: number}} size Of a photo, which is shown whole. */
    show(size) {
      photo = size;
      frame.hidden = false;
      layout();
      arrive();
    },
    /** @param {number} width Of the result, in pixels. */
    setPixels(width) {
      pixels = width;
      apply();
    },
    /** The share of the picture's width that is at a share of the window's. @param {number} share */
    across: (share) => (share * viewport.clientWidth - x) / (width * zoom),
  };
}

/** Position of a side: in the middle if all of it is seen, else without a gap at either end. */
function held(/** @type {number} */ at, /** @type {number} */ room, /** @type {number} */ length) {
  if (length <= room + 0.5) return (room - length) / 2;
  return Math.min(0, Math.max(room - length, at));
}
