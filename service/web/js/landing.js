/** A large picture that is painted tile by tile: its tiles land on the painted preview, not on the bare photo. */

const BLOCK_PX = 8;
const SAME = 9;

/** @param {Blob} blob @param {number} width @param {number} height */
async function drawn(blob, width, height) {
  const bitmap = await createImageBitmap(blob);
  const canvas = Object.assign(document.createElement("canvas"), { width: width || bitmap.width, height: height || bitmap.height });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return context;
}

/**
 * The picture of a job so far, with the preview in the places that are still the photo.
 * @param {Blob} soFar The photo, with the tiles that are done.
 * @param {Blob} preview
 * @param {Blob} photo
 * @returns {Promise<Blob>}
 */
export async function landed(soFar, preview, photo) {
  const news = await drawn(soFar, 0, 0);
  const { width, height } = news.canvas;
  const [bare, painted] = [await drawn(photo, width, height), await drawn(preview, width, height)];
  const [one, other] = [news.getImageData(0, 0, width, height).data, bare.getImageData(0, 0, width, height).data];
  for (let top = 0; top < height; top += BLOCK_PX) {
    for (let left = 0; left < width; left += BLOCK_PX) {
      if (difference(one, other, left, top, width, height) >= SAME) continue;
      news.drawImage(painted.canvas, left, top, BLOCK_PX, BLOCK_PX, left, top, BLOCK_PX, BLOCK_PX);
    }
  }
  return new Promise((resolve) => news.canvas.toBlob((blob) => resolve(blob ?? soFar), "image/jpeg", 0.9));
}

/** Mean absolute difference of a block of two pictures. */
function difference(/** @type {Uint8ClampedArray} */ one, /** @type {Uint8ClampedArray} */ other, /** @type {number} */ left, /** @type {number} */ top, /** @type {number} */ width, /** @type {number} */ height) {
  let [sum, count] = [0, 0];
  for (let y = top; y < Math.min(height, top + BLOCK_PX); y++) {
    for (let x = left; x < Math.min(width, left + BLOCK_PX); x++) {
      const at = (y * width + x) * 4;
      sum += Math.abs(one[at] - other[at]) + Math.abs(one[at + 1] - other[at + 1]) + Math.abs(one[at + 2] - other[at + 2]);
      count += 3;
    }
  }
  return sum / count;
}
