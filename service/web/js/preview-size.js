/** Size of the next preview: previews follow a moving control, so it is as large as the last ones were quick. */

const SIZES = [96, 128, 160, 192, 256];
const WANTED_MS = 80;
const WEIGHT = 0.4;

/** Learns from every preview what a pixel takes. */
export function createPreviewSize() {
  let msPerPixel = 0;
  return {
    /** @param {number} px Longer side. @param {number} tookMs */
    learn(px, tookMs) {
      const measured = tookMs / (px * px);
      msPerPixel = msPerPixel === 0 ? measured : msPerPixel + WEIGHT * (measured - msPerPixel);
    },
    /** The longer side of the next one, while a control moves. */
    moving: () => [...SIZES].reverse().find((px) => px * px * msPerPixel <= WANTED_MS) ?? SIZES[0],
  };
}
