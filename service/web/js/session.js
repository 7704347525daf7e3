/** The session: written shortly after every change, and read when the page opens. */

import { memory } from "./memory.js";
import { smaller } from "./pictures.js";
import { MOST } from "./tray.js";

const WRITE_AFTER_MS = 400;
const LARGEST_SHOWN_PX = 2048;

/** @typedef {import("./tray.js").Entry} Entry */

/** A state as it is stored: files are stored once, by their names. */
const packed = (/** @type {import("./state.js").State} */ { photo, mix, look, mask }) => ({
  photo: photo?.id ?? null,
  mix: { ...mix, slots: mix.slots.map((slot) => (slot.upload ? { ...slot, upload: null, isUpload: true } : slot)) },
  look,
  mask,
});

/** @param {any} kept @param {Map<string, any>} photos @param {Map<string, any>} uploads */
function unpacked(kept, photos, uploads) {
  const slots = kept.mix.slots.map((/** @type {any} */ slot) => (slot.isUpload ? uploads.get(slot.key) : slot));
  return slots.includes(undefined) ? null : { photo: photos.get(kept.photo) ?? null, mix: { ...kept.mix, slots }, look: kept.look, mask: kept.mask };
}

/**
 * @param {import("./state.js").Store} store
 * @param {() => Entry[]} entries
 */
export function createSession(store, entries) {
  let timer = 0;
  let isOn = false;
  /** @type {Set<string>} */
  const written = new Set();

  /** @param {string} name @param {() => unknown} value */
  async function once(name, value) {
    if (written.has(name)) return;
    written.add(name);
    await memory.set(name, value());
  }

  async function write() {
    const state = store.get();
    const pictures = entries();
    for (const entry of pictures) entry.id ??= crypto.randomUUID();
    const states = [state, ...pictures.map((entry) => entry.state)];
    const names = new Set(["session"]);
    for (const { photo, mix } of states) {
      if (photo) {
        const { url: _, ...rest } = photo;
        names.add(`photo ${photo.id}`);
        await once(`photo ${photo.id}`, () => rest);
      }
      for (const slot of [...mix.slots, ...state.uploads]) {
        if (!slot.upload) continue;
        const { url: _, ...upload } = slot.upload;
        names.add(`upload ${slot.key}`);
        await once(`upload ${slot.key}`, () => ({ ...slot, upload }));
      }
    }
    for (const { id, state: its, url: _, ...rest } of pictures) {
      names.add(`picture ${id}`);
      await once(`picture ${id}`, () => ({ ...rest, state: packed(its) }));
    }
    await memory.set("session", {
      ...packed(state), uploads: state.uploads.map(({ key }) => key), pictures: pictures.map(({ id }) => id),
    });
    await memory.keepOnly(names);
    for (const name of written) if (!names.has(name)) written.delete(name);
  }

  function soon() {
    if (!isOn) return;
    clearTimeout(timer);
    timer = window.setTimeout(write, WRITE_AFTER_MS);
  }

  store.subscribe((_, __, action) => {
    if (!action.live) soon();
  });

  return {
    soon,
    /** From now on changes are written. */
    begin() {
      isOn = true;
      soon();
    },
    read,
  };
}

/** Files of one kind, with addresses for `<img>`. @param {string} kind @param {string[]} ids */
async function files(kind, ids) {
  const found = new Map();
  for (const id of new Set(ids)) {
    const kept = await memory.get(`${kind} ${id}`);
    if (!kept) continue;
    const blob = kind === "photo" ? kept.blob : kept.upload.blob;
    const url = URL.createObjectURL(await smaller(blob, kind === "photo" ? LARGEST_SHOWN_PX : 512).catch(() => blob));
    found.set(id, kind === "photo" ? { ...kept, url } : { ...kept, upload: { ...kept.upload, url } });
  }
  return found;
}

/** Read the session before. @returns {Promise<{work: any, entries: Entry[]} | null>} */
async function read() {
  const kept = await memory.get("session");
  if (!kept?.photo) return null;
  const pictures = (await Promise.all(kept.pictures.slice(0, MOST).map((/** @type {string} */ id) => memory.get(`picture ${id}`).then((one) => one && { ...one, id })))).filter(Boolean);
  const slots = [kept.mix, ...pictures.map(({ state }) => state.mix)].flatMap((mix) => mix.slots).filter((slot) => slot.isUpload);
  const photos = await files("photo", [kept.photo, ...pictures.map(({ state }) => state.photo)].filter(Boolean));
  const uploads = await files("upload", [...kept.uploads, ...slots.map(({ key }) => key)]);
  const work = unpacked(kept, photos, uploads);
  if (!work?.photo) return null;
  const entries = pictures.flatMap(({ state, ...rest }) => {
    const its = unpacked(state, photos, uploads);
    return its ? [{ ...rest, state: its, url: URL.createObjectURL(rest.blob) }] : [];
  });
  return { work: { ...work, uploads: kept.uploads.map((/** @type {string} */ key) => uploads.get(key)).filter(Boolean) }, entries };
}
