/** The page's first picture: the look of a link, the session before, or a sample photo that is painted already. */

import { loadCatalog } from "./catalog.js";
import { fromLink, toLink } from "./link.js";
import { CENTRE, only } from "./mix.js";
import { slotById } from "./paintings.js";
import { FIRST } from "./samples.js";

const MIXED_SHARE = 0.5;

/**
 * @param {object} ends
 * @param {import("./state.js").Store} ends.store
 * @param {ReturnType<typeof import("./session.js").createSession>} ends.session
 * @param {ReturnType<typeof import("./intake.js").createIntake>} ends.intake
 * @param {(entries: import("./tray.js").Entry[]) => void} ends.load
 * @param {(text: string, again: () => void) => void} ends.failed The catalog did not come.
 * @param {(startAfresh: () => void) => void} ends.continued
 */
export function createArrival({ store, session, intake, load, failed, continued }) {
  /** The look of a link, with the styles that are there. */
  function linked(/** @type {string} */ hash) {
    const link = fromLink(hash);
    if (!link) return null;
    const { catalog, look } = store.get();
    const slots = link.ids.flatMap((id) => slotById(catalog.paintings, id) ?? []);
    const mix = { slots: slots.map((slot) => (link.model ? { ...slot, use: link.model } : slot)), point: link.point ?? CENTRE, note: "" };
    return { type: "load", mix, look: { ...look, method: "feedforward", ...link.look }, mask: { strokes: [], elsewhere: null }, uploads: store.get().uploads };
  }

  /** The first painting of the wall. */
  function first() {
    const { catalog, look, uploads } = store.get();
    const slot = catalog.paintings.find(({ isOwn }) => !isOwn)?.variants[0];
    if (slot) store.dispatch({ type: "load", mix: only(slot), look, mask: { strokes: [], elsewhere: null }, uploads, isArrival: true });
  }

  /** Styles as the catalog has them now: what was kept may be of an older page. */
  function renewed(/** @type {import("./mix.js").Mix} */ mix) {
    const { paintings } = store.get().catalog;
    return { ...mix, slots: mix.slots.map((slot) => ({ ...slot, ...(slot.id === null ? {} : slotById(paintings, slot.id)) })) };
  }

  async function catalog() {
    try {
      await loadCatalog(store);
      return true;
    } catch (problem) {
      await new Promise((resolve) => failed(/** @type {any} */ (problem).detail ?? String(problem), () => resolve(undefined)));
      return catalog();
    }
  }

  async function arrive() {
    const hash = location.hash;
    const kept = await session.read();
    const isLinked = fromLink(hash) !== null && (!kept || toLink(kept.work) !== hash);
    if (kept) {
      load(kept.entries);
      store.dispatch({ type: "photo", photo: kept.work.photo, isArrival: true });
    }
    await Promise.all([kept ? null : intake.takeSample(FIRST, true), catalog()]);
    const look = isLinked ? linked(hash) : null;
    if (look) store.dispatch({ ...look, isArrival: true });
    else if (kept) store.dispatch({ type: "load", ...kept.work, mix: renewed(kept.work.mix), isArrival: true });
    else first();
    if (kept && !look) continued(afresh);
    session.begin();
    store.subscribe((state, before, action) => {
      if (!action.live && (state.mix !== before.mix || state.look !== before.look)) tell(state);
    });
    tell(store.get());
  }

  async function afresh() {
    await intake.takeSample(FIRST);
    first();
  }

  const tell = (/** @type {import("./state.js").State} */ state) => window.history.replaceState(null, "", toLink(state) || location.pathname + location.search);

  window.addEventListener("hashchange", () => {
    const look = linked(location.hash);
    if (look) store.dispatch(look);
  });

  /** A painting, or two, and somewhere between them. */
  function surprise() {
    const { catalog: { paintings }, look, mask, uploads } = store.get();
    const pick = () => paintings[Math.floor(Math.random() * paintings.length)]?.variants[0];
    const [one, other] = [pick(), pick()];
    if (!one) return;
    const isMix = Math.random() < MIXED_SHARE && other.key !== one.key && one.controls.includes("weights") && one.models.some((model) => other.models.includes(model));
    const mix = isMix ? { slots: [one, other], point: { x: 0.25 + Math.random() / 2, y: 0.5 }, note: "" } : only(one);
    store.dispatch({ type: "load", mix, look: { ...look, method: "feedforward", alpha: 1 }, mask: isMix ? { strokes: [], elsewhere: null } : mask, uploads });
  }

  return { arrive, surprise };
}
