/** The edges of masks as lines, so that the painting below stays to be seen. */

const HALF = 128;
const WIDTH_PX = 2;

/**
 * The edge of a mask: pixels that are in it and have a neighbour that is not.
 * @param {Uint8ClampedArray} data RGBA, of which the alpha counts.
 * @param {number} width
 * @param {number} height
 * @param {(at: number) => void} mark Called with the index of each pixel of the edge.
 */
function edge(data, width, height, mark) {
  const isIn = (/** @type {number} */ x, /** @type {number} */ y) => x < 0 || y < 0 || x >= width || y >= height || data[(y * width + x) * 4 + 3] >= HALF;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (data[(y * width + x) * 4 + 3] < HALF) continue;
      if (!(isIn(x - WIDTH_PX, y) && isIn(x + WIDTH_PX, y) && isIn(x, y - WIDTH_PX) && isIn(x, y + WIDTH_PX))) mark(y * width + x);
    }
  }
}

/**
 * Draw the outlines of masks.
 * @param {HTMLCanvasElement} canvas
 * @param {(HTMLCanvasElement | null)[]} masks Of the styles in their order; null: that one has no outline.
 * @param {[number, number, number][]} tints
 */
export function drawOutlines(canvas, masks, tints) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const { width, height } = canvas;
  const image = context.createImageData(width, height);
  masks.forEach((mask, index) => {
    if (!mask) return;
    const { data } = /** @type {CanvasRenderingContext2D} */ (mask.getContext("2d", { willReadFrequently: true })).getImageData(0, 0, width, height);
    const [r, g, b] = tints[index % tints.length];
    edge(data, width, height, (at) => image.data.set([r, g, b, 255], at * 4));
  });
  context.putImageData(image, 0, 0);
}
