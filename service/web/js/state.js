/** The one store: what the picture is to be, and what there is to choose from. Reducers are pure. */

import { CENTRE, only, swapped, toggled, without } from "./mix.js";
import { remember, START } from "./timeline.js";

/**
 * @typedef {{id: string, blob: Blob, name: string, url: string, width: number, height: number, sample: string}} Photo `sample`: its address, if it came with the page.
 * @typedef {object} Look
 * @property {number} alpha
 * @property {"style" | "match" | "luminance"} color
 * @property {number} strokes Longer side in pixels at which paintings are encoded.
 * @property {string} size Longer side in pixels, or "original".
 * @property {number} seed
 * @property {"feedforward" | "gatys"} method
 * @property {number} steps
 * @property {string} format Empty: the service chooses.
 * @property {string} exportSize Longer side of the file in pixels, "photo" or, as it was painted, empty.
 *
 * @typedef {import("./mask-strokes.js").MaskStroke} MaskStroke
 * @typedef {{strokes: MaskStroke[], elsewhere: string | null}} Mask `elsewhere` null: see `restOf`.
 *
 * @typedef {object} State
 * @property {Photo | null} photo
 * @property {import("./mix.js").Mix} mix
 * @property {Look} look
 * @property {Mask} mask
 * @property {string | null} selected Key of the style that a click on a painting replaces.
 * @property {{styles: any[], models: any[], paintings: import("./paintings.js").Painting[], isLoaded: boolean}} catalog
 * @property {import("./mix.js").Slot[]} uploads Paintings that were dropped here and are not registered.
 * @property {import("./timeline.js").Timeline} timeline
 *
 * @typedef {{type: string, live?: boolean, isArrival?: boolean, [key: string]: any}} Action `live`: a control is moving, more will follow;
 *   `isArrival`: there is nothing before it that one could want back.
 */

const NO_MASK = { strokes: [], elsewhere: null };

/** Settings that make a difference to the file alone, or to the next job. */
const NOT_PAINTED = ["format", "exportSize", "steps"];

/**
 * Tells whether a change of the look leaves the picture as it is.
 * @param {object} change
 */
export const isOfTheFile = (change) => Object.keys(change).every((name) => NOT_PAINTED.includes(name));

/** @type {State} */
export const INITIAL = {
  photo: null,
  mix: { slots: [], point: CENTRE, note: "" },
  look: { alpha: 1, color: "style", strokes: 512, size: "512", seed: 1, method: "feedforward", steps: 80, format: "", exportSize: "" },
  mask: NO_MASK,
  selected: null,
  timeline: START,
  catalog: { styles: [], models: [], paintings: [], isLoaded: false },
  uploads: [],
};

/** @type {Record<string, (state: State, action: Action) => Partial<State>>} */
const REDUCERS = {
  photo: (_, { photo }) => ({ photo, mask: NO_MASK }),
  catalog: (_, { styles, models, paintings }) => ({ catalog: { styles, models, paintings, isLoaded: true } }),
  choose: (state, { slot }) => chosen(state, slot),
  select: (_, { key }) => ({ selected: key }),
  swap: (state, { key, slot }) => put(state, key, slot),
  load: (_, { mix, look, mask, photo, uploads }) => ({ mix, look, mask, uploads, ...(photo ? { photo } : {}) }),
  toggle: ({ mix, mask }, { slot }) => ({ ...withMix(mask, toggled(mix, slot)), selected: slot.key }),
  remove: ({ mix, mask }, { key }) => withMix(mask, without(mix, key)),
  upload: (state, { slot }) => ({ uploads: [...state.uploads, slot], ...chosen(state, slot) }),
  registered: ({ mix, mask, uploads }, { key, slot }) => ({
    uploads: uploads.filter((upload) => upload.key !== key),
    mask: renamed(mask, key, slot.key),
    mix: { ...mix, slots: mix.slots.map((old) => (old.key === key ? slot : old)) },
  }),
  point: ({ mix }, { point }) => ({ mix: { ...mix, point, note: "" } }),
  look: ({ look }, { change }) => ({ look: { ...look, ...(isOfTheFile(change) ? {} : { method: "feedforward" }), ...change } }),
  stroke: ({ mask }, { stroke }) => ({ mask: { ...mask, strokes: [...mask.strokes, stroke] } }),
  undo: ({ timeline }) => timeline.past.at(-1) ?? {},
  redo: ({ timeline }) => timeline.future[0] ?? {},
  clear: () => ({ mask: NO_MASK }),
  elsewhere: ({ mask }, { key }) => ({ mask: { ...mask, elsewhere: key } }),
  restore: (_, { photo, mix, look, mask }) => ({ photo, mix: { ...mix, note: "" }, look, mask }),
};

/**
 * The style that a click on a painting replaces: the selected one, or else the last.
 * @param {State} state
 * @returns {string | null}
 */
export const selectedKey = ({ mix, selected }) =>
  mix.slots.some(({ key }) => key === selected) ? selected : (mix.slots.at(-1)?.key ?? null);

/** A style that is chosen takes the place of the selected one; a mix and masks stay. */
function chosen(/** @type {State} */ state, /** @type {import("./mix.js").Slot} */ slot) {
  const key = selectedKey(state);
  if (key === null) return { mix: only(slot), selected: slot.key };
  if (state.mix.slots.some((old) => old.key === slot.key)) return { selected: slot.key };
  return put(state, key, slot);
}

/** @param {State} state @param {string} key @param {import("./mix.js").Slot} slot */
function put({ mix, mask }, key, slot) {
  return { ...withMix(renamed(mask, key, slot.key), swapped(mix, key, slot)), selected: slot.key };
}

/** A mask whose places of one style are another's. */
const renamed = (/** @type {Mask} */ mask, /** @type {string} */ from, /** @type {string} */ to) => mask.strokes.length === 0 && mask.elsewhere !== from ? mask : {
  strokes: mask.strokes.map((stroke) => (stroke.target === from ? { ...stroke, target: to } : stroke)),
  elsewhere: mask.elsewhere === from ? to : mask.elsewhere,
};

/** Strokes of a style that has left would paint nothing. */
function withMix(/** @type {Mask} */ mask, /** @type {import("./mix.js").Mix} */ mix) {
  const keys = ["photo", ...mix.slots.map(({ key }) => key)];
  if (mask.strokes.every(({ target }) => keys.includes(target)) && (mask.elsewhere === null || keys.includes(mask.elsewhere))) return { mix, mask };
  const strokes = mask.strokes.filter(({ target }) => keys.includes(target));
  const elsewhere = mask.elsewhere !== null && keys.includes(mask.elsewhere) ? mask.elsewhere : null;
  return { mix, mask: { strokes, elsewhere } };
}

/**
 * The state after an action.
 * @param {State} state
 * @param {Action} action
 * @returns {State}
 */
export function reduce(state, action) {
  const after = { ...state, ...REDUCERS[action.type](state, action) };
  return { ...after, timeline: remember(state.timeline, state, after, action) };
}

/**
 * Tells whether two states ask for the same picture; the format and size of its file make no difference.
 * @param {State} one
 * @param {State} other
 */
export const isSamePicture = (one, other) =>
  one.photo === other.photo && isSameLook(one.look, other.look) && isSameMask(one.mask, other.mask) && isSameMix(one.mix, other.mix);

/** @param {import("./mix.js").Mix} one @param {import("./mix.js").Mix} other */
const isSameMix = (one, other) =>
  one.point.x === other.point.x && one.point.y === other.point.y && one.slots.length === other.slots.length &&
  one.slots.every(({ key, use }, index) => key === other.slots[index].key && use === other.slots[index].use);

/** @param {Mask} one @param {Mask} other */
const isSameMask = (one, other) =>
  one === other || (one.elsewhere === other.elsewhere && one.strokes.length === other.strokes.length &&
    one.strokes.every((stroke, index) => stroke === other.strokes[index] || (!stroke.image && JSON.stringify(stroke) === JSON.stringify(other.strokes[index]))));

/** @param {Look} one @param {Look} other */
function isSameLook(one, other) {
  const names = /** @type {(keyof Look)[]} */ (Object.keys({ ...one, ...other }));
  return names.every((name) => NOT_PAINTED.includes(name) || one[name] === other[name]);
}

/** @typedef {(state: State, before: State, action: Action) => void} Listener */

/** A store of a state. */
export function createStore() {
  let state = INITIAL;
  /** @type {Listener[]} */
  const listeners = [];
  return {
    get: () => state,
    /** @param {Action} action */
    dispatch(action) {
      const before = state;
      state = reduce(state, action);
      for (const listener of listeners) listener(state, before, action);
    },
    /** @param {Listener} listener */
    subscribe(listener) {
      listeners.push(listener);
    },
  };
}

/** @typedef {ReturnType<typeof createStore>} Store */
