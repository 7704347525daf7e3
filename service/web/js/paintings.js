/** The catalog as a wall of paintings: one for each painting, with all networks that paint it. Pure functions. */

import { movementOf } from "./movements.js";

/**
 * @typedef {import("./mix.js").Slot} Slot
 * @typedef {object} Painting
 * @property {string} key
 * @property {string} title
 * @property {string} artist
 * @property {number | null} year
 * @property {string} movement
 * @property {boolean} isOwn Dropped here, or registered.
 * @property {Slot[]} variants What paints it, the usual one first.
 */

const plain = (/** @type {string} */ text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase().trim();

/**
 * A style of `GET /styles` as part of a mix.
 * @param {any} style
 * @param {Set<string>} [shipped] Ids of which the page has a small copy.
 * @param {string} [folder] Where those are.
 * @returns {Slot}
 */
export const slotOf = (style, shipped = new Set(), folder = "") => ({
  ...style,
  key: style.id,
  hasPicture: style.image !== null && style.controls.includes("style"),
  picture: shipped.has(style.id) && style.kind !== "registered" ? `${folder}paintings/${style.id}.webp` : (style.image ?? style.preview),
  upload: null,
});

/**
 * The paintings in the order of the wall: one's own first, then those that mix freely, then the others.
 * @param {any[]} styles
 * @param {any[]} models
 * @param {Slot[]} uploads
 * @param {(style: any) => Slot} toSlot
 * @returns {Painting[]}
 */
export function paintingsOf(styles, models, uploads, toSlot) {
  const ranks = new Map(models.map((model) => [model.id, rank(model)]));
  const registered = styles.filter(({ kind }) => kind === "registered").reverse();
  const own = [...uploads, ...registered.map(toSlot)].map((slot) => ({ ...about(slot), key: slot.key, isOwn: true, variants: [slot] }));
  /** @type {Map<string, Painting>} */
  const found = new Map();
  const others = styles.filter(({ kind }) => kind !== "registered").map(toSlot);
  for (const slot of others.sort((one, other) => (ranks.get(one.model ?? "") ?? 9) - (ranks.get(other.model ?? "") ?? 9))) {
    const name = plain(`${slot.title || slot.key}|${slot.artist}`);
    const painting = found.get(name) ?? { ...about(slot), key: slot.key, isOwn: false, variants: [] };
    painting.variants.push(slot);
    found.set(name, painting);
  }
  return [...own, ...[...found.values()].map(withOnePicture)];
}

/** The default network first, then those for any style, those that mix, and those of one style. */
function rank(/** @type {any} */ { is_default, any_style, controls }) {
  if (is_default) return 0;
  return any_style ? 1 : controls.includes("weights") ? 2 : 3;
}

const about = (/** @type {Slot} */ { title, artist, year }) => ({ title, artist, year, movement: movementOf(artist) });

/** All networks of a painting show the same picture of it. */
function withOnePicture(/** @type {Painting} */ painting) {
  const { picture } = painting.variants[0];
  return { ...painting, variants: painting.variants.map((slot) => ({ ...slot, picture })) };
}

/**
 * Tells whether a painting has all words of a search.
 * @param {Painting} painting
 * @param {string} words
 * @param {string[]} [colours] Of the painting.
 */
export function matches(painting, words, colours = []) {
  const { title, artist, year, movement, variants } = painting;
  const text = plain([title, artist, year, movement, ...colours, ...variants.flatMap(({ models }) => models)].filter(Boolean).join(" "));
  return plain(words).split(/\s+/).every((word) => text.includes(word));
}

/**
 * The one of a painting's networks that goes with the others of a mix; the usual one if none does.
 * @param {Painting} painting
 * @param {Slot[]} others
 * @returns {Slot}
 */
export function variantFor({ variants }, others) {
  const goes = (/** @type {Slot} */ slot) => slot.models.some((model) => others.every(({ models }) => models.includes(model)));
  return (others.length > 0 && variants.find((slot) => slot.controls.includes("weights") && goes(slot))) || variants[0];
}

/**
 * Choices of a slot: its painting's other networks, and the networks that take the same style.
 * @param {Painting[]} paintings
 * @param {Slot} slot
 * @returns {{slot: Slot, model: string}[]}
 */
export function networksOf(paintings, slot) {
  const painting = paintings.find(({ variants }) => variants.some(({ key }) => key === slot.key));
  return (painting?.variants ?? [slot]).flatMap((variant) => [...variant.models].reverse().map((model) => ({ slot: variant, model })));
}

/**
 * The slot of a style id, as the wall has it.
 * @param {Painting[]} paintings
 * @param {string} id
 * @returns {Slot | undefined}
 */
export const slotById = (paintings, id) => paintings.flatMap(({ variants }) => variants).find((slot) => slot.id === id);
