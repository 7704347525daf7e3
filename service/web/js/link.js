/** A look as the end of an address, and back: `#style=a,b&at=0.3,0.5&alpha=0.8`. Pure functions. */

const DEFAULTS = { alpha: "1", color: "style", size: "512", stroke: "512", seed: "1" };
const COLOURS = ["style", "match", "luminance"];
const LARGEST_PX = 8192;

/**
 * @param {import("./state.js").State} state
 * @returns {string} Empty: uploads cannot be named in a link.
 */
export function toLink({ mix, look }) {
  if (mix.slots.some(({ id }) => id === null)) return "";
  const found = new URLSearchParams({ style: mix.slots.map(({ id }) => id).join(",") });
  if (mix.slots.length > 1) found.set("at", [mix.point.x, mix.point.y].map((value) => Number(value.toFixed(3))).join(","));
  const use = mix.slots.find((slot) => slot.use)?.use;
  if (use) found.set("model", use);
  const values = { alpha: look.alpha, color: look.color, size: look.size, stroke: look.strokes, seed: look.seed };
  for (const [name, value] of Object.entries(values)) {
    if (String(value) !== DEFAULTS[/** @type {keyof typeof DEFAULTS} */ (name)]) found.set(name, String(value));
  }
  return `#${found.toString().replaceAll("%2C", ",")}`;
}

/**
 * @param {string} hash
 * @returns {{ids: string[], point: {x: number, y: number} | null, model: string | null, look: object} | null} Null: it names no look.
 */
export function fromLink(hash) {
  const found = new URLSearchParams(hash.replace(/^#/, ""));
  if (!found.has("style")) return null;
  const within = (/** @type {string} */ name, /** @type {number} */ least, /** @type {number} */ most) => {
    const value = Number(found.get(name) ?? Number.NaN);
    return value >= least && value <= most ? value : null;
  };
  const [x, y] = (found.get("at") ?? "").split(",").map(Number);
  const look = {
    alpha: within("alpha", 0, 1),
    color: COLOURS.includes(found.get("color") ?? "") ? found.get("color") : null,
    size: found.get("size") === "original" ? "original" : within("size", 64, LARGEST_PX)?.toString() ?? null,
    strokes: within("stroke", 64, 2048),
    seed: within("seed", 0, 2 ** 31 - 1),
  };
  return {
    ids: (found.get("style") ?? "").split(",").filter(Boolean).slice(0, 4),
    point: x >= 0 && x <= 1 && y >= 0 && y <= 1 ? { x, y } : null,
    model: found.get("model"),
    look: Object.fromEntries(Object.entries(look).filter(([, value]) => value !== null)),
  };
}
