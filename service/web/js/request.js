/** From the state to the fields of `POST /stylize`: the same list makes the form that is sent and the code to copy. */

import { drawMasks, maskFile } from "./mask-strokes.js";
import { chosenNetwork, hasPictures, supports, weights } from "./mix.js";
import { fitted, smaller } from "./pictures.js";

/**
 * @typedef {import("./state.js").State} State
 * @typedef {{name: string, value: string}} TextField
 * @typedef {{name: string, file: {role: "content" | "style" | "mask", key: string, name: string}}} FileField
 */

export const PREVIEW_PX = 256;
/** Longer side in pixels of the quick version of a picture that takes long. */
const QUICK_PX = 768;
const LARGEST_MASK_PX = 1024;
const LONG_JOB_PIXELS = 1.25 * 2 ** 20;
const SHORTEST_PX = 64;

/**
 * Which of the controls count for this mix; the others are at their defaults.
 * @param {State} state
 */
export function effective({ mix, look, mask }) {
  const isOptimised = look.method === "gatys" && hasPictures(mix);
  const color = look.color === "match" && !hasPictures(mix) ? "style" : look.color;
  return {
    alpha: supports(mix, "alpha") ? look.alpha : 1,
    color: supports(mix, "color") ? color : "style",
    strokes: supports(mix, "style_size") && hasPictures(mix) ? look.strokes : null,
    seed: supports(mix, "seed") ? look.seed : null,
    hasMasks: supports(mix, "mask") && mask.strokes.length > 0 && !isOptimised,
    isOptimised,
  };
}

/**
 * The styles in the order that weights and masks have: uploads first, then ids.
 * @param {State} state
 */
function ordered({ mix }) {
  const shares = weights(mix.slots.length, mix.point);
  const styles = mix.slots.map((slot, index) => ({ slot, weight: shares[index] }));
  return [...styles.filter(({ slot }) => slot.id === null), ...styles.filter(({ slot }) => slot.id !== null)];
}

/**
 * The fields of a request.
 * @param {State} state With a photo and a style.
 * @param {"full" | number} [kind] A number: a preview whose longer side has so many pixels.
 * @returns {(TextField | FileField)[]}
 */
export function requestFields(state, kind = "full") {
  const isFull = kind === "full";
  const { look, photo } = state;
  const counts = effective(state);
  const styles = ordered(state);
  /** @type {(TextField | FileField)[]} */
  const fields = [{ name: "content", file: { role: "content", key: "", name: photo?.name ?? "photo" } }];
  const text = (/** @type {string} */ name, /** @type {string | number} */ value) => fields.push({ name, value: String(value) });
  for (const { slot } of styles) {
    if (slot.upload) fields.push({ name: "style", file: { role: "style", key: slot.key, name: slot.upload.name } });
  }
  for (const { slot } of styles) if (slot.id !== null) text("style_id", slot.id);
  if (styles.length > 1) text("weights", styles.map(({ weight }) => Number(weight.toFixed(3))).join(","));
  const network = chosenNetwork(state.mix);
  if (network) text("model", network);
  if (counts.alpha !== 1) text("alpha", counts.alpha);
  if (counts.color !== "style") text("color", counts.color);
  if (counts.hasMasks) {
    styles.forEach(({ slot }, index) => {
      fields.push({ name: "mask", file: { role: "mask", key: slot.key, name: `mask-${index + 1}.png` } });
    });
  }
  if (counts.strokes !== null && counts.strokes !== 512) text("style_size", counts.strokes);
  text("size", isFull ? look.size : kind);
  if (counts.seed !== null) text("seed", counts.seed);
  if (isFull && look.format) text("format", look.format);
  if (isFull && counts.isOptimised) {
    text("method", "gatys");
    text("steps", look.steps);
  }
  return isFull ? fields : likeFull(fields, state, counts.strokes, kind);
}

/** A small preview has small strokes, where the painting can be encoded anew. */
function likeFull(/** @type {any[]} */ fields, /** @type {State} */ state, /** @type {number | null} */ strokes, /** @type {number} */ px) {
  if (strokes === null || !state.photo) return fields;
  const { width, height } = fitted(state.photo, state.look.size);
  const shrunk = Math.round((strokes * px) / Math.max(px, width, height));
  const value = String(Math.max(SHORTEST_PX, shrunk));
  return [...fields.filter(({ name }) => name !== "style_size"), { name: "style_size", value }];
}

/**
 * The form to send. A preview is sent small copies.
 * @param {State} state
 * @param {"full" | number} kind
 */
export async function requestForm(state, kind) {
  const fields = requestFields(state, kind);
  const masks = fields.some(({ name }) => name === "mask") ? masksOf(state, kind) : new Map();
  const form = new FormData();
  for (const field of fields) {
    if ("value" in field) form.append(field.name, field.value);
    else form.append(field.name, await fileOf(field.file, state, kind, masks), field.file.name);
  }
  return form;
}

/** @param {FileField["file"]} file @param {State} state @param {"full" | number} kind @param {Map<string, HTMLCanvasElement>} masks */
async function fileOf({ role, key }, state, kind, masks) {
  if (role === "mask") return maskFile(/** @type {HTMLCanvasElement} */ (masks.get(key)));
  const whole = role === "content" ? state.photo?.blob : state.mix.slots.find((slot) => slot.key === key)?.upload?.blob;
  if (!whole) throw new Error(`there is no ${role}`);
  if (kind === "full") return whole;
  return smaller(whole, role === "content" ? Math.max(PREVIEW_PX, kind) : 2 * PREVIEW_PX);
}

/**
 * The masks at the size of the result, as long as that makes a difference.
 * @param {State} state
 * @param {"full" | number} kind
 */
export function masksOf(state, kind) {
  const size = fitted(state.photo ?? { width: 1, height: 1 }, kind === "full" ? state.look.size : kind);
  const scale = Math.min(1, LARGEST_MASK_PX / Math.max(size.width, size.height));
  const keys = state.mix.slots.map((slot) => slot.key);
  return drawMasks(state.mask, keys, Math.max(1, Math.round(size.width * scale)), Math.max(1, Math.round(size.height * scale)));
}

/**
 * Tells whether the full size takes so long that it is a job with progress.
 * @param {State} state
 */
export function isLong(state) {
  const { width, height } = fitted(state.photo ?? { width: 1, height: 1 }, state.look.size);
  return effective(state).isOptimised || width * height > LONG_JOB_PIXELS;
}

/**
 * The same at the size that is painted at once, for what takes long in full.
 * @param {State} state
 * @returns {State}
 */
export const quickly = (state) => (isLong(state) ? { ...state, look: { ...state.look, method: "feedforward", size: String(QUICK_PX) } } : state);

/** @param {State} state Whether there is something to paint. */
export const isPaintable = ({ photo, mix }) => photo !== null && mix.slots.length > 0;
