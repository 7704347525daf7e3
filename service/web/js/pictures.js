/** Picture files: their size, and smaller copies of them. */

/**
 * Size of a picture, upright.
 * @param {Blob} blob
 * @returns {Promise<{width: number, height: number}>}
 * @throws {DOMException} The browser cannot read it.
 */
export async function measured(blob) {
  const bitmap = await createImageBitmap(blob);
  const { width, height } = bitmap;
  bitmap.close();
  return { width, height };
}

/** @type {WeakMap<Blob, Map<number, Promise<Blob>>>} */
const copies = new WeakMap();

/**
 * A copy whose longer side is `px` at most; made once.
 * @param {Blob} blob
 * @param {number} px
 * @returns {Promise<Blob>}
 */
export function smaller(blob, px) {
  const sizes = copies.get(blob) ?? new Map();
  copies.set(blob, sizes);
  if (!sizes.has(px)) sizes.set(px, shrink(blob, px));
  return sizes.get(px);
}

/** @param {Blob} blob @param {number} px @returns {Promise<Blob>} */
async function shrink(blob, px) {
  const whole = await createImageBitmap(blob);
  const scale = px / Math.max(whole.width, whole.height);
  if (scale >= 1) return blob;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(whole.width * scale));
  canvas.height = Math.max(1, Math.round(whole.height * scale));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  context.drawImage(whole, 0, 0, canvas.width, canvas.height);
  whole.close();
  const isOpaque = blob.type === "image/jpeg" || !hasTransparency(context, canvas.width, canvas.height);
  const type = isOpaque ? "image/jpeg" : "image/png";
  return new Promise((resolve) => canvas.toBlob((copy) => resolve(copy ?? blob), type, 0.92));
}

/** Tells whether any pixel is transparent. */
function hasTransparency(/** @type {CanvasRenderingContext2D} */ context, /** @type {number} */ width, /** @type {number} */ height) {
  const { data } = context.getImageData(0, 0, width, height);
  for (let at = 3; at < data.length; at += 4) if (data[at] < 255) return true;
  return false;
}

/**
 * The size of a result, as the service computes it.
 * @param {{width: number, height: number}} photo
 * @param {string | number} size Longer side, or "original".
 */
export function fitted({ width, height }, size) {
  if (size === "original") return { width, height };
  const scale = Number(size) / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * The same picture as a file of another type or size.
 * @param {Blob} blob
 * @param {string} type
 * @param {number} side Of the longer one, in pixels; 0: as it is.
 * @returns {Promise<Blob | null>} Null: this browser does not write such files.
 */
export async function asFile(blob, type, side) {
  const whole = await createImageBitmap(blob);
  const scale = side > 0 ? side / Math.max(whole.width, whole.height) : 1;
  if (blob.type === type && scale === 1) return blob;
  const [width, height] = [whole.width, whole.height].map((length) => Math.max(1, Math.round(length * scale)));
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  context.imageSmoothingQuality = "high";
  if (type === "image/jpeg") {
    context.fillStyle = "#fff"; // it cannot be transparent
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(whole, 0, 0, width, height);
  whole.close();
  return new Promise((resolve) => canvas.toBlob((copy) => resolve(copy?.type === type ? copy : null), type, 0.95));
}
