/** Undo and redo: the list of what the picture was to be, before and after. Pure functions. */

const MOST = 200;

/**
 * @typedef {Pick<import("./state.js").State, "photo" | "mix" | "look" | "mask">} Work What undo brings back.
 * @typedef {{past: Work[], future: Work[], moving: string}} Timeline `moving`: the control whose movement is one step.
 */

/** @type {Timeline} */
export const START = { past: [], future: [], moving: "" };

/** @param {import("./state.js").State} state @returns {Work} */
const workOf = ({ photo, mix, look, mask }) => ({ photo, mix, look, mask });

/** @param {Work} one @param {Work} other */
const isSameWork = (one, other) =>
  one.photo === other.photo && one.look === other.look && one.mask === other.mask &&
  one.mix.slots === other.mix.slots && one.mix.point === other.mix.point;

/** Name of the control that moves: all previews of a slider, and its release, are one step. */
const movement = (/** @type {import("./state.js").Action} */ { type, change }) => [type, ...Object.keys(change ?? {})].join(" ");

/**
 * The timeline after an action.
 * @param {Timeline} timeline
 * @param {import("./state.js").State} before
 * @param {import("./state.js").State} after
 * @param {import("./state.js").Action} action
 * @returns {Timeline}
 */
export function remember(timeline, before, after, action) {
  if (action.type === "undo") return { past: timeline.past.slice(0, -1), future: [workOf(before), ...timeline.future], moving: "" };
  if (action.type === "redo") return { past: [...timeline.past, workOf(before)], future: timeline.future.slice(1), moving: "" };
  if (isSameWork(workOf(before), workOf(after))) return action.live ? timeline : { ...timeline, moving: "" };
  if (action.isArrival) return START;
  const moving = action.live ? movement(action) : "";
  if (timeline.moving !== "" && timeline.moving === movement(action)) return { ...timeline, future: [], moving };
  return { past: [...timeline.past, workOf(before)].slice(-MOST), future: [], moving };
}
