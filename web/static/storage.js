/**
 * The browser's storage where it may be used, and memory where it may not: with
 * blocked site data even reading window.localStorage throws.
 */
class Memory {
  #items = new Map();
  getItem = (name) => this.#items.get(name) ?? null;
  setItem = (name, value) => void this.#items.set(name, String(value));
  removeItem = (name) => void this.#items.delete(name);
}

function open(name) {
  try {
    const storage = globalThis[name];
    storage.getItem('roomtide');
    return storage;
  } catch {
    return new Memory();
  }
}

export const local = open('localStorage');
export const session = open('sessionStorage');

/** Keeps a value, or removes it when it is empty. A full storage keeps what it had. */
export function keep(storage, name, value) {
  try {
    if (value) storage.setItem(name, value);
    else storage.removeItem(name);
  } catch {
    // Without room for it, the value lives as long as the page.
  }
}
