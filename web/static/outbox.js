import { keep, local } from './storage.js';

/**
 * Messages the server has not confirmed yet, in the order they were written.
 * Each is kept under an entry of its own, so that a reload loses none and two
 * tabs do not overwrite each other. A tab sends what it wrote and what it found
 * when it began; if another tab sends the same, the key makes it one message.
 * Before it is known whose messages they are, they live as long as the page.
 */
export class Outbox {
  onchange = () => {}; // another tab removed an item

  #items = new Map(); // key -> {key, room, message, reply_to, mentions, time, accepted, error, code}
  #written = new Set(); // keys of those that were written on this page
  #prefix = ''; // of the entries of the user; empty: not known yet
  #storage;

  constructor(storage = local) {
    this.#storage = storage;
    addEventListener('storage', (e) => {
      if (!this.#prefix || !e.key?.startsWith(this.#prefix) || e.newValue) return;
      if (this.#items.delete(e.key.slice(this.#prefix.length))) this.onchange();
    });
  }

  /** Says whose messages these are: adds those that the user has left behind, and keeps all. */
  own(user) {
    const before = this.#prefix;
    this.#prefix = `roomtide/out/${encodeURIComponent(user)}/`;
    if (this.#prefix === before) return;
    const mine = [...this.#items.values()].filter((item) => this.#written.has(item.key));
    this.#items.clear();
    const names = Object.keys(this.#storage).filter((n) => n.startsWith(this.#prefix));
    for (const name of names.sort()) this.#load(name);
    for (const item of mine) {
      if (before) this.#storage.removeItem(before + item.key);
      this.#items.set(item.key, item);
      this.#keep(item);
    }
  }

  add(room, message, reply_to, mentions) {
    const item = { key: uuid7(), room, message, reply_to, mentions, time: new Date().toISOString() };
    this.#items.set(item.key, item);
    this.#written.add(item.key);
    this.#keep(item);
    return item;
  }

  /** The oldest item of the room that has not failed and is not among those on their way. */
  next(room, sent) {
    return this.of(room).find((item) => !item.error && !sent.has(item.key));
  }

  of(room) {
    return [...this.#items.values()].filter((item) => item.room === room);
  }

  /** Rooms with something to send. */
  rooms() {
    return new Set([...this.#items.values()].filter((item) => !item.error).map((item) => item.room));
  }

  /** The server keeps the item in its durable queue. Returns it, if it is still here. */
  accept(key) {
    return this.#update(key, { accepted: true });
  }

  fail(key, error, code) {
    this.#update(key, { error, code, accepted: undefined });
  }

  retry(key) {
    this.#update(key, { error: undefined, code: undefined });
  }

  remove(key) {
    if (this.#items.delete(key) && this.#prefix) this.#storage.removeItem(this.#prefix + key);
  }

  #update(key, change) {
    const item = this.#items.get(key);
    if (!item) return undefined;
    const next = { ...item, ...change };
    this.#items.set(key, next);
    this.#keep(next);
    return next;
  }

  #load(name) {
    try {
      const item = JSON.parse(this.#storage.getItem(name));
      this.#items.set(item.key, item);
    } catch {
      this.#storage.removeItem(name); // written by something else: it would be found each time
    }
  }

  #keep(item) {
    if (this.#prefix) keep(this.#storage, this.#prefix + item.key, JSON.stringify(item));
  }
}

let lastTime = 0;

/** A UUIDv7 greater than every one made before it on this page. */
function uuid7() {
  lastTime = Math.max(Date.now(), lastTime + 1);
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  for (let i = 0; i < 6; i++) bytes[i] = lastTime / 2 ** (40 - 8 * i);
  bytes[6] = (bytes[6] & 0x0f) | 0x70;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/(.{8})(.{4})(.{4})(.{4})(.{12})/, '$1-$2-$3-$4-$5');
}
