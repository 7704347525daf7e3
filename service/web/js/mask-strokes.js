/**
 * Masks as the strokes that painted them, so that undoing is leaving one out, and every size is drawn sharp.
 *
 * At every place the shares of all styles and of the photo make one whole: a brush that brings one takes from the others.
 */

/**
 * @typedef {object} MaskStroke
 * @property {string} target Key of a style, or "photo".
 * @property {[number, number][]} points In shares of width and height; none: it fills the whole picture.
 * @property {number} size Diameter, as a share of the longer side.
 * @property {number} softness From 0 to 1.
 * @property {boolean} [inverts] It swaps what the target has with what it has not; it has no points.
 * @property {ImageData} [image] An imported mask: its alpha is the target's share.
 */

const STEP = 0.12;
/** Distance of two dabs as a share of the diameter. */

/**
 * Default for places where nothing was painted: the photo around one style; the first style around another one, or
 * around the photo.
 * @param {{elsewhere: string | null, strokes: MaskStroke[]}} mask
 * @param {string[]} keys Of the styles.
 */
export function restOf({ elsewhere, strokes }, keys) {
  return elsewhere ?? (keys.length > 1 || strokes[0]?.target === "photo" ? keys[0] : "photo");
}

/**
 * An empty canvas for each style; the one that is everywhere else is full.
 * @param {string[]} keys
 * @param {string} rest
 * @param {number} width
 * @param {number} height
 * @returns {Map<string, HTMLCanvasElement>}
 */
export function blankMasks(keys, rest, width, height) {
  const masks = new Map();
  for (const key of keys) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    if (key === rest) fill(canvas);
    masks.set(key, canvas);
  }
  return masks;
}

/**
 * All masks, drawn.
 * @param {{strokes: MaskStroke[], elsewhere: string | null}} mask
 * @param {string[]} keys
 * @param {number} width
 * @param {number} height
 */
export function drawMasks(mask, keys, width, height) {
  const masks = blankMasks(keys, restOf(mask, keys), width, height);
  for (const stroke of mask.strokes) {
    if (stroke.inverts) invert(masks, stroke.target, restOf(mask, keys));
    else drawStroke(masks, stroke, 0);
  }
  return masks;
}

/** Swap: the target's places go to the style that is elsewhere, or to the photo, and the other way round. */
function invert(/** @type {Map<string, HTMLCanvasElement>} */ masks, /** @type {string} */ target, /** @type {string} */ rest) {
  const [one, other] = [masks.get(target), masks.get(rest)];
  if (one && other) {
    masks.set(target, other);
    masks.set(rest, one);
    return;
  }
  const canvas = one ?? other; // the photo is the other
  if (!canvas) return;
  const full = Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height });
  fill(full);
  const context = /** @type {CanvasRenderingContext2D} */ (full.getContext("2d"));
  context.globalCompositeOperation = "destination-out";
  for (const mask of masks.values()) context.drawImage(mask, 0, 0);
  masks.set(one ? target : rest, full);
}

/**
 * Draw a stroke from one of its points on.
 * @param {Map<string, HTMLCanvasElement>} masks
 * @param {MaskStroke} stroke
 * @param {number} from Index of the first point that is new.
 */
export function drawStroke(masks, stroke, from) {
  for (const [key, canvas] of masks) {
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    context.globalCompositeOperation = key === stroke.target ? "source-over" : "destination-out";
    if (stroke.image) stamp(canvas, stroke.image);
    else if (stroke.points.length === 0) fill(canvas);
    else for (const [x, y] of dabs(stroke, from, canvas)) dab(context, x, y, stroke, canvas);
    context.globalCompositeOperation = "source-over";
  }
}

/** Draw an image over all of a canvas. */
function stamp(/** @type {HTMLCanvasElement} */ canvas, /** @type {ImageData} */ image) {
  const whole = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
  whole.getContext("2d")?.putImageData(image, 0, 0);
  canvas.getContext("2d")?.drawImage(whole, 0, 0, canvas.width, canvas.height);
}

/** Places that a brush touches, close enough to be a line. */
function* dabs(/** @type {MaskStroke} */ { points, size }, /** @type {number} */ from, /** @type {any} */ { width, height }) {
  const step = Math.max(1, size * Math.max(width, height) * STEP);
  for (let index = Math.max(0, from); index < points.length; index++) {
    const [x, y] = [points[index][0] * width, points[index][1] * height];
    const [x0, y0] = index > 0 ? [points[index - 1][0] * width, points[index - 1][1] * height] : [x, y];
    const count = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0) / step));
    for (let part = 1; part <= count; part++) yield [x0 + ((x - x0) * part) / count, y0 + ((y - y0) * part) / count];
  }
}

/** One touch of the brush. */
function dab(/** @type {any} */ context, /** @type {number} */ x, /** @type {number} */ y, /** @type {MaskStroke} */ stroke, /** @type {any} */ canvas) {
  const radius = Math.max(1, (stroke.size * Math.max(canvas.width, canvas.height)) / 2);
  const gradient = context.createRadialGradient(x, y, radius * Math.min(0.98, 1 - stroke.softness), x, y, radius);
  gradient.addColorStop(0, "#fff");
  gradient.addColorStop(1, "#fff0");
  context.fillStyle = gradient;
  context.fillRect(x - radius, y - radius, 2 * radius, 2 * radius);
}

function fill(/** @type {HTMLCanvasElement} */ canvas) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
}

/**
 * A mask as the service takes it: light on black.
 * @param {HTMLCanvasElement} mask
 * @returns {Promise<Blob>}
 */
export function maskFile(mask) {
  const canvas = Object.assign(document.createElement("canvas"), { width: mask.width, height: mask.height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(mask, 0, 0);
  return new Promise((resolve) => canvas.toBlob((blob) => resolve(/** @type {Blob} */ (blob)), "image/png"));
}
