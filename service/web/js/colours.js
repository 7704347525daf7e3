/** The colours that a picture has, as words to search for. */

const NAMES = [[15, "red"], [42, "orange"], [68, "yellow gold"], [165, "green"], [200, "turquoise cyan"], [258, "blue"], [292, "violet purple"], [338, "pink magenta"], [361, "red"]];
const SIDE = 16;
const LEAST_SHARE = 0.12;

/**
 * The word for a colour.
 * @param {number} r From 0 to 255, as all three.
 * @param {number} g
 * @param {number} b
 */
export function colourName(r, g, b) {
  const [most, least] = [Math.max(r, g, b), Math.min(r, g, b)];
  const span = most - least;
  if (most < 45) return "black dark";
  if (span < 28 || span / most < 0.16) return most > 190 ? "white light" : most < 90 ? "black dark" : "grey gray";
  const hue = most === r ? ((g - b) / span + 6) % 6 : most === g ? (b - r) / span + 2 : (r - g) / span + 4;
  const name = /** @type {string} */ ((NAMES.find(([end]) => hue * 60 < Number(end)) ?? NAMES[0])[1]);
  return name === "orange" && most < 150 ? "brown" : name;
}

/**
 * The colours that take up a good part of a picture.
 * @param {CanvasImageSource} image
 * @returns {string[]}
 */
export function coloursOf(image) {
  const canvas = Object.assign(document.createElement("canvas"), { width: SIDE, height: SIDE });
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
  context.drawImage(image, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const name = colourName(data[at], data[at + 1], data[at + 2]);
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].filter(([, count]) => count >= LEAST_SHARE * SIDE * SIDE).map(([name]) => name);
}
