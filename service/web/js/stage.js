/** The photo and its painting in their window, and the label above them. */

import { $ } from "./dom.js";
import { createCompare } from "./compare.js";
import { createViewport } from "./viewport.js";

const FADE_MS = 140;

/** @typedef {{blob: Blob, url: string, isPreview: boolean}} Picture */

export function createStage() {
  const [viewport, frame, before, working, tag] = [$("#viewport"), $("#frame"), $("#before"), $("#working"), $("#reference-tag")];
  let [after, other] = [$("#after"), $("#after-other")]; // they take turns, so that one fades into the next
  const compare = createCompare((share) => view.across(share));
  let isMasking = false;
  const view = createViewport({ isMasking: () => isMasking, drag: compare.follow, moved: () => compare.moved() });
  let passing = ""; // address of a preview, which nobody needs once there is another picture
  let turn = 0;
  /** @type {import("./state.js").Photo | null} */
  let shown = null;

  function clear() {
    for (const image of [after, other]) {
      image.hidden = true;
      image.removeAttribute("src");
    }
    if (passing) URL.revokeObjectURL(passing);
    passing = "";
    compare.setPainted(false);
  }

  /** The one that was behind comes to the front. */
  function swap() {
    [after, other] = [other, after];
    [after.id, other.id] = ["after", "after-other"];
    other.alt = "";
    other.after(after);
    after.hidden = false;
    const old = other;
    const hide = () => (old.hidden = old !== after); // what is transparent in the new one shows nothing of it
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) hide();
    else after.animate([{ opacity: 0 }, { opacity: 1 }], FADE_MS).finished.then(hide, () => {});
  }

  return {
    viewport,
    frame,
    zoomBy: view.zoomBy,
    fit: view.fit,
    peek: compare.peek,
    /** @param {import("./state.js").Photo} photo */
    showPhoto(photo) {
      turn++;
      clear();
      if (shown !== photo) view.show(photo);
      shown = photo;
      this.showReference(null);
    },
    /** Show the photo, or another picture, to the left of the divider. @param {{url: string, title: string} | null} reference */
    showReference(reference) {
      if (!shown) return;
      before.src = reference?.url ?? shown.url;
      before.alt = reference ? `For comparison: ${reference.title}` : `The photo: ${shown.name}`;
      before.hidden = false;
      tag.textContent = reference?.title ?? "Photo";
    },
    /**
     * @param {Picture} picture
     * @param {string} title
     * @returns {Promise<boolean>} Whether it is shown: not if another one came meanwhile.
     */
    async showPainting(picture, title) {
      const mine = ++turn;
      const image = new Image();
      image.src = picture.url;
      await image.decode().catch(() => {});
      if (mine !== turn) {
        if (picture.isPreview) URL.revokeObjectURL(picture.url);
        return false;
      }
      other.src = picture.url;
      await other.decode().catch(() => {});
      if (mine !== turn) return false;
      swap();
      after.alt = `The photo, painted: ${title}`;
      after.classList.toggle("is-preview", picture.isPreview);
      after.dataset.size = `${image.naturalWidth}x${image.naturalHeight}`;
      if (passing) URL.revokeObjectURL(passing);
      passing = picture.isPreview ? picture.url : "";
      compare.setPainted(true);
      return true;
    },
    /** @param {number} width Of the full picture, in pixels: what zoom counts. */
    setPixels: view.setPixels,
    /** @param {string} title @param {string} facts */
    setLabel(title, facts) {
      $("#label-title").textContent = title;
      $("#label-facts").textContent = facts;
    },
    /** @param {boolean} is */
    setWorking(is) {
      working.hidden = !is;
      viewport.setAttribute("aria-busy", String(is));
    },
    /** @param {boolean} is Whether pointers paint masks. */
    setMasking(is) {
      isMasking = is;
      viewport.classList.toggle("is-masking", is);
      compare.setMasking(is);
    },
  };
}

/** @typedef {ReturnType<typeof createStage>} Stage */
