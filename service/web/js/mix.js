/** A mix of up to four styles that one network can paint, and a point between them: pure functions. */

/**
 * @typedef {object} Slot A style of the mix.
 * @property {string} key Names it within this tab.
 * @property {string | null} id Of a style that the service knows; null for an upload.
 * @property {string} title
 * @property {string} artist
 * @property {number | null} year
 * @property {string[]} models Networks that can paint it.
 * @property {string} [kind] Of a style that the service knows.
 * @property {string[]} controls Controls that its network supports.
 * @property {boolean} hasPicture Whether the painting itself can be encoded anew.
 * @property {string | null} picture Address of the painting, or of something painted like it.
 * @property {string} [use] The network to paint it with, if it is not the usual one.
 * @property {{blob: Blob, name: string, url: string} | null} upload
 *
 * @typedef {{x: number, y: number}} Point Both from 0 to 1; y grows downwards.
 * @typedef {{slots: Slot[], point: Point, note: string}} Mix
 */

export const MOST = 4;
export const CENTRE = { x: 0.5, y: 0.5 };

/** Point where all styles have the same share. */
const centre = (/** @type {number} */ count) => (count === 3 ? { x: 0.5, y: 1 / 3 } : CENTRE);

/**
 * Shares of the styles at a point of the pad; their sum is 1. Four styles are its corners, and the shares bilinear; the
 * lower two of three are one and the same; two are its sides.
 * @param {number} count Of styles, 1 to 4.
 * @param {Point} point
 * @returns {number[]}
 */
export function weights(count, { x, y }) {
  if (count <= 1) return [1].slice(0, count);
  if (count === 2) return [1 - x, x];
  const upper = [(1 - x) * (1 - y), x * (1 - y)];
  return count === 3 ? [...upper, y] : [...upper, (1 - x) * y, x * y];
}

/**
 * Only this style.
 * @param {Slot} slot
 * @returns {Mix}
 */
export const only = (slot) => ({ slots: [slot], point: CENTRE, note: "" });

/**
 * Mix a style in; one that is there is taken out.
 * @param {Mix} mix
 * @param {Slot} slot
 * @returns {Mix}
 */
export function toggled(mix, slot) {
  if (mix.slots.some(({ key }) => key === slot.key)) return without(mix, slot.key);
  if (mix.slots.length === 0) return only(slot);
  if (!slot.models.some((model) => mix.slots.every(({ models }) => models.includes(model)))) {
    return { ...only(slot), note: "Styles of different networks do not mix. This one starts a new mix." };
  }
  if (!slot.controls.includes("weights")) {
    return { ...only(slot), note: "This network has a single style, which cannot be mixed." };
  }
  if (mix.slots.length === MOST) {
    return { ...mix, note: "Four styles mix at most. Take one out first." };
  }
  return { slots: [...mix.slots, slot], point: centre(mix.slots.length + 1), note: "" };
}

/**
 * Put a style in another's place; the point stays where it is.
 * @param {Mix} mix
 * @param {string} key Of the one that leaves.
 * @param {Slot} slot
 * @returns {Mix} Only the new style, and why, if the others cannot be mixed with it.
 */
export function swapped(mix, key, slot) {
  const others = mix.slots.filter((old) => old.key !== key);
  if (others.some((old) => old.key === slot.key)) return mix;
  if (others.length > 0 && !canMix(slot, others)) {
    return { ...only(slot), note: "Styles of different networks do not mix: this one starts anew. Undo brings the mix back." };
  }
  return { ...mix, slots: mix.slots.map((old) => (old.key === key ? slot : old)), note: "" };
}

/** Tells whether one network can paint all of them. */
const canMix = (/** @type {Slot} */ slot, /** @type {Slot[]} */ others) =>
  slot.controls.includes("weights") && slot.models.some((model) => others.every(({ models }) => models.includes(model)));

/**
 * The network that was chosen for a mix; null: the usual one.
 * @param {Mix} mix
 */
export function chosenNetwork({ slots }) {
  const use = slots.find((slot) => slot.use)?.use;
  return use && slots.every(({ models }) => models.includes(use)) ? use : null;
}

/**
 * Take a style out.
 * @param {Mix} mix
 * @param {string} key
 * @returns {Mix}
 */
export function without(mix, key) {
  const slots = mix.slots.filter((slot) => slot.key !== key);
  return { slots, point: centre(slots.length), note: "" };
}

/**
 * Tells whether the network of the mix supports a control; none without a style.
 * @param {Mix} mix
 * @param {string} control
 */
export const supports = (mix, control) => mix.slots.length > 0 && mix.slots[0].controls.includes(control);

/**
 * Tells whether all paintings of the mix can be encoded anew: for stroke size, recolouring and optimisation.
 * @param {Mix} mix
 */
export const hasPictures = (mix) => mix.slots.length > 0 && mix.slots.every((slot) => slot.hasPicture);
