/** The photo and its painting on the wall, and the label beside them. */

import { $ } from "./dom.js";
import { createCompare } from "./compare.js";
import { createViewport } from "./viewport.js";

/** @typedef {{blob: Blob, url: string, isPreview: boolean}} Picture */

export function createStage() {
  const [viewport, frame, before, after, working] = [$("#viewport"), $("#frame"), $("#before"), $("#after"), $("#working")];
  const compare = createCompare();
  let isMasking = false;
  const view = createViewport({ isMasking: () => isMasking, drag: compare.follow });
  let passing = ""; // address of a preview, which is not needed once there is another picture
  let turn = 0;

  return {
    viewport,
    frame,
    /** @param {import("./state.js").Photo} photo */
    showPhoto(photo) {
      turn++;
      frame.style.setProperty("--ratio", String(photo.width / photo.height));
      before.src = photo.url;
      before.alt = `The photo: ${photo.name}`;
      before.hidden = false;
      after.hidden = true;
      after.removeAttribute("src");
      if (passing) URL.revokeObjectURL(passing);
      passing = "";
      compare.setPainted(false);
      view.fit();
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
      after.src = picture.url;
      after.alt = `The photo, painted: ${title}`;
      after.hidden = false;
      after.classList.toggle("is-preview", picture.isPreview);
      after.dataset.size = `${image.naturalWidth}x${image.naturalHeight}`;
      if (passing) URL.revokeObjectURL(passing);
      passing = picture.isPreview ? picture.url : "";
      compare.setPainted(true);
      return true;
    },
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
