/** Storage in the browser. Where it is forbidden or full, values are kept as long as the page. */

/** @param {() => Storage} storage Already asking for it may throw. */
function memory(storage) {
  /** @type {Map<string, string>} */
  const here = new Map();
  return {
    /** @param {string} name @returns {string | null} */
    get(name) {
      try {
        return storage().getItem(name) ?? here.get(name) ?? null;
      } catch {
        return here.get(name) ?? null;
      }
    },
    /** @param {string} name @param {string} value */
    set(name, value) {
      try {
        storage().setItem(name, value);
      } catch {
        here.set(name, value);
      }
    },
  };
}

export const lasting = memory(() => localStorage);
export const ofThisTab = memory(() => sessionStorage);
