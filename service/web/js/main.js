/** The page: its parts, put together. */

import { listModels, listStyles } from "./api.js";
import { createAppearance } from "./appearance.js";
import { createControls } from "./controls.js";
import { createExport } from "./export.js";
import { createGallery } from "./gallery.js";
import { createHistory } from "./history.js";
import { createIntake } from "./intake.js";
import { createMaskPainter } from "./mask-painter.js";
import { createMixingPad } from "./mixing-pad.js";
import { createNotice } from "./notice.js";
import { createPainter } from "./painter.js";
import { createServiceState } from "./service-state.js";
import { createSlots } from "./slots.js";
import { createStage } from "./stage.js";
import { createStore } from "./state.js";
import { titleOf } from "./words.js";

const store = createStore();
createAppearance();
const serviceState = createServiceState();
const stage = createStage();
const notice = createNotice();
const exported = createExport(store, (done) => painter.repaint(done));

const history = createHistory((entry) => {
  const { photo } = store.get();
  store.dispatch({ type: "restore", ...entry.state, entry });
  if (entry.state.photo && entry.state.photo !== photo) stage.showPhoto(entry.state.photo);
  stage.showPainting(entry, titleOf(entry.state.mix));
  stage.setLabel(titleOf(entry.state.mix), entry.facts);
  exported.setPicture(entry);
});

const painter = createPainter({
  store,
  stage,
  notice,
  answered: serviceState.answered,
  finished(entry) {
    history.add(entry);
    exported.setPicture(entry);
  },
});

const gallery = createGallery(store);
createMixingPad(store);
createSlots(store);
createControls(store, painter.optimise);
createMaskPainter(store, stage);
const intake = createIntake(store, notice);

async function loadCatalog() {
  try {
    const [styles, models] = await Promise.all([listStyles(), listModels()]);
    store.dispatch({ type: "catalog", styles, models });
  } catch (problem) {
    gallery.showFailure(/** @type {any} */ (problem).detail ?? String(problem), loadCatalog);
  }
}

loadCatalog();
intake.takeSample(document.body.dataset.sample ?? "");
