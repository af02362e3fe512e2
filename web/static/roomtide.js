/**
 * Roomtide for browsers: one connection, many rooms, nothing lost or doubled.
 *
 *   import { Roomtide } from '/static/roomtide.js';
 *
 *   const chat = new Roomtide({ user: 'ada' });       // a guest, or { token }
 *   chat.addEventListener('room', (e) => draw(e.room, e.frame));
 *   chat.connect();
 *   chat.join('lobby');
 *   chat.send('lobby', 'Hello');
 *
 * Events: `state` (see state and reason), `rooms` (a room came or went) and
 * `room` (something changed in e.room; e.frame is the event that did it, if it
 * was one). The state of a room is in chat.rooms.get(id), see room.js.
 *
 * After a lost connection the client comes back by itself and each joined room
 * goes on after its rev. What was sent meanwhile waits in the outbox.
 */
import { Room } from './room.js';
import { Outbox } from './outbox.js';

const RETRYABLE = new Set(['rate_limited', 'busy', 'unavailable', 'read_only']);
const PING_AFTER = 25_000; // silence after which we ask whether anybody is there
const PONG_WITHIN = 10_000;
const STEADY = 10_000; // online for so long, a connection counts as good
const MAX_PAGES = 5; // away for longer than this many pages: start afresh
const TYPING_EVERY = 3_000;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** What a command was refused with; code "closed" means the connection went first. */
export class RoomtideError extends Error {
  constructor(frame) {
    super(frame.message);
    this.code = frame.code;
    this.retryAfter = frame.retry_after;
  }
}

class RoomEvent extends Event {
  constructor(room, frame) {
    super('room');
    this.room = room;
    this.frame = frame;
  }
}

export class Roomtide extends EventTarget {
  state = 'stopped'; // 'connecting' | 'online' | 'waiting' (reconnects at retryAt) | 'stopped'
  reason = ''; // why it is waiting or stopped, for a person
  retryAt = 0;
  user = ''; // known from hello on, for a guest from the start
  name = '';
  limits = {};
  rooms = new Map(); // id -> Room
  outbox;

  #options;
  #ws = null;
  #bye = null;
  #tries = 0;
  #timer = 0; // the next attempt
  #ticker = 0; // looks for signs of life
  #openedAt = 0;
  #heardAt = 0;
  #pingAt = 0;
  #lastID = 0;
  #waiting = new Map(); // command id -> {resolve, reject}
  #typedAt = new Map(); // room id -> when "typing" was last told
  #wake = () => document.hidden || this.retryNow();
  #hide = () => this.#lost(4000); // the page may come back from the browser's cache

  /**
   * @param {{user?: string, token?: string, name?: string, url?: string, storage?: Storage}} options
   *   user for a guest or token for everybody else; url defaults to ws beside
   *   this page; storage keeps the outbox, localStorage unless given.
   */
  constructor(options) {
    super();
    this.#options = options;
    if (options.user) this.#is(options.user);
  }

  connect() {
    if (this.#ws) return;
    if (!this.#ticker) {
      this.#ticker = setInterval(() => this.#listen(), 5_000);
      addEventListener('online', this.#wake);
      addEventListener('pageshow', this.#wake);
      addEventListener('pagehide', this.#hide);
      document.addEventListener('visibilitychange', this.#wake);
    }
    clearTimeout(this.#timer);
    const url = this.#options.url ?? new URL('ws', document.baseURI).href.replace(/^http/, 'ws');
    const ws = new WebSocket(url);
    this.#ws = ws;
    this.#bye = null;
    this.#heardAt = this.#openedAt = Date.now();
    this.#pingAt = 0;
    this.#become('connecting', this.reason);
    ws.onopen = () => this.#hello();
    ws.onmessage = (e) => this.#frame(JSON.parse(e.data));
    ws.onclose = (e) => this.#lost(e.code);
  }

  /** Ends the connection for good; connect() starts again. */
  close(reason = '') {
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
    this.#ticker = 0;
    removeEventListener('online', this.#wake);
    removeEventListener('pageshow', this.#wake);
    removeEventListener('pagehide', this.#hide);
    document.removeEventListener('visibilitychange', this.#wake);
    this.#drop();
    this.#become('stopped', reason);
  }

  /** Cuts a pause between two attempts short. */
  retryNow() {
    if (this.state === 'waiting') this.connect();
  }

  /** Sends a command and resolves to its ack; rejects with a RoomtideError. */
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      const ready = this.state === 'online' || type === 'hello';
      if (!ready || this.#ws?.readyState !== WebSocket.OPEN) {
        reject(new RoomtideError({ code: 'closed', message: 'not connected' }));
        return;
      }
      const id = ++this.#lastID;
      this.#waiting.set(id, { resolve, reject });
      this.#ws.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  /**
   * Joins a room, now or as soon as there is a connection, and keeps it joined.
   * If the server refuses, room.error says why. page: how many of the latest
   * messages to begin with.
   */
  join(id, page = 30) {
    const room = this.#room(id);
    room.wanted = true;
    room.error = '';
    if (!room.joined && this.state === 'online') this.#resume(room, page);
    return room;
  }

  async leave(id) {
    await this.request('leave', { room: id });
    this.#forget(id);
  }

  /** Puts a message into the outbox; it is sent, in order, until the server has it. */
  send(id, text, replyTo) {
    const item = this.outbox.add(id, text, replyTo);
    this.#changed(this.#room(id));
    this.#flush(this.#room(id));
    return item;
  }

  /** Tries a failed message again, with the same key. */
  resend(item) {
    this.outbox.retry(item.key);
    this.#changed(this.#room(item.room));
    this.#flush(this.#room(item.room));
  }

  discard(item) {
    this.outbox.remove(item.key);
    this.#changed(this.#room(item.room));
  }

  edit(room, seq, message) {
    return this.request('edit', { room, seq, message });
  }

  delete(room, seq) {
    return this.request('delete', { room, seq });
  }

  react(room, seq, emoji, on) {
    return this.request('react', { room, seq, emoji, on });
  }

  /** Marks everything up to now as read, if it is not. */
  async read(id) {
    const room = this.rooms.get(id); // one that was left is drawn once more, and stays left
    if (!room?.joined || room.seq <= room.read || room.marking) return;
    const { seq } = room;
    room.marking = true;
    try {
      const ack = await this.request('read', { room: id, seq });
      room.read = ack.seq;
      if (room.seq === seq) room.unread = 0;
    } catch {
      // The mark stays where it was: the next call tries again.
    } finally {
      room.marking = false;
    }
    this.#changed(room);
  }

  /** Tells the room, every few seconds at most, that the user is writing. */
  typing(id, on) {
    const now = Date.now();
    const told = this.#typedAt.get(id) ?? 0;
    const due = on ? now - told > TYPING_EVERY : told > 0;
    if (!due || !this.rooms.get(id)?.joined || this.state !== 'online') return;
    this.#typedAt.set(id, on ? now : 0);
    this.#ws.send(JSON.stringify({ type: 'typing', room: id, on }));
  }

  /** Loads older messages into the room; resolves when they are there. */
  async older(id, limit = 30) {
    const room = this.rooms.get(id);
    if (!room?.joined || !room.more || room.loading) return;
    room.loading = true;
    try {
      const before = room.first;
      const ack = await this.request('history', { room: id, before, limit });
      if (room.first === before) room.prepend(ack.messages ?? [], !!ack.more);
    } finally {
      room.loading = false;
    }
    this.#changed(room);
  }

  /** Fetches one message that is not loaded, for a quote; null if it is gone. */
  async quote(id, seq) {
    const ack = await this.request('history', { room: id, before: seq + 1, limit: 1 });
    const found = ack.messages?.at(-1);
    return found?.seq === seq ? found : null;
  }

  #room(id) {
    let room = this.rooms.get(id);
    if (!room) {
      room = new Room(id);
      this.rooms.set(id, room);
      this.dispatchEvent(new Event('rooms'));
    }
    return room;
  }

  #forget(id) {
    if (this.rooms.delete(id)) this.dispatchEvent(new Event('rooms'));
  }

  #changed(room, frame) {
    this.dispatchEvent(new RoomEvent(room, frame));
  }

  #become(state, reason = '') {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event('state'));
  }

  #is(user) {
    if (this.user === user && this.outbox) return;
    this.user = user;
    this.outbox = new Outbox(user, this.#options.storage);
    this.outbox.onchange = () => this.dispatchEvent(new Event('rooms'));
  }

  async #hello() {
    const { user, token, name } = this.#options;
    try {
      const ack = await this.request('hello', { ...(token ? { token } : { user }), name, client: 'roomtide-web' });
      this.#is(ack.user);
      this.name = ack.name || ack.user;
      this.limits = ack.limits ?? {};
    } catch (e) {
      if (e.code === 'closed') return;
      if (RETRYABLE.has(e.code) || e.code === 'internal') this.#lost(4200, e.message);
      else this.close(e.message);
      return;
    }
    this.#become('online');
    const list = this.request('rooms'); // asked first: it tells the read marks
    for (const room of this.rooms.values()) if (room.wanted) this.#resume(room);
    for (const id of this.outbox.rooms()) this.join(id);
    await this.#follow(list);
  }

  /** Joins the rooms the user is a member of, so that their news arrive. */
  async #follow(answer) {
    let list;
    try {
      list = (await answer).rooms ?? [];
    } catch {
      return; // the next connection asks again
    }
    // A fifth is left for rooms the user opens by hand.
    let free = Math.floor((this.limits.rooms_per_conn ?? 50) * 0.8);
    for (const room of this.rooms.values()) if (room.wanted) free--;
    list.sort((a, b) => (b.last?.time ?? '').localeCompare(a.last?.time ?? ''));
    for (const summary of list) {
      const room = this.#room(summary.room);
      room.summarize(summary);
      if (!room.wanted && free-- > 0) this.join(room.id, 1);
      this.#changed(room);
    }
  }

  /** Brings the room up to date and lets its events flow, then empties its outbox. */
  async #resume(room, page = 30) {
    if (room.resuming) return;
    room.resuming = true;
    room.joined = false;
    try {
      for (let pages = 1; !room.joined; pages++) {
        const fresh = !room.rev || pages > MAX_PAGES;
        const ack = await this.#insist('join', { room: room.id, ...(fresh ? { limit: page } : { after: room.rev }) });
        room.catchUp(ack, fresh || !!ack.reset);
        room.joined = fresh || !!ack.reset || !ack.more;
      }
      for (const m of room.messages) if (m.user === this.user) this.outbox.remove(m.key);
    } catch (e) {
      if (e.code !== 'closed') {
        room.error = e.message;
        room.wanted = false;
      }
    } finally {
      room.resuming = false;
    }
    this.#changed(room);
    this.#flush(room);
  }

  /** request(), again and again while the server asks for patience. */
  async #insist(type, fields) {
    for (let pause = 500; ; pause = Math.min(pause * 2, 15_000)) {
      try {
        return await this.request(type, fields);
      } catch (e) {
        if (!RETRYABLE.has(e.code)) throw e;
        await sleep(e.retryAfter || pause * (0.5 + Math.random()));
      }
    }
  }

  /** Sends what waits for this room, one after the other so that order holds. */
  async #flush(room) {
    if (room.flushing) return;
    room.flushing = true;
    let item;
    while (room.joined && (item = this.outbox.next(room.id))) {
      const { key, message, reply_to } = item;
      try {
        const ack = await this.#insist('message', { room: room.id, message, key, reply_to });
        room.put({ ...ack, user: this.user, message, key, reply_to });
        this.outbox.remove(key);
      } catch (e) {
        if (e.code === 'closed') break; // goes on when the room is joined again
        this.outbox.fail(key, e.message);
      }
      this.#changed(room);
    }
    room.flushing = false;
  }

  #frame(f) {
    this.#heardAt = Date.now();
    if (f.type === 'ack' || f.type === 'error') {
      const waiting = this.#waiting.get(f.id);
      this.#waiting.delete(f.id);
      if (f.type === 'ack') waiting?.resolve(f);
      else waiting?.reject(new RoomtideError(f));
      return;
    }
    if (f.type === 'goodbye') {
      this.#bye = f;
      return;
    }
    const room = this.rooms.get(f.room);
    if (room?.wanted) this.#event(room, f);
  }

  #event(room, f) {
    if (f.type === 'gap' || !room.apply(f, this.user)) {
      if (room.joined) this.#resume(room);
      return;
    }
    if (f.type === 'message' && f.user === this.user) this.outbox.remove(f.key);
    if (f.type === 'member' && f.user === this.user && !room.present) this.#forget(room.id);
    this.#changed(room, f);
  }

  /** Asks for a sign of life after silence and gives up if none comes. */
  #listen() {
    const now = Date.now();
    const dead = this.#pingAt > this.#heardAt && now - this.#pingAt > PONG_WITHIN;
    const stuck = this.state === 'connecting' && now - this.#openedAt > 2 * PONG_WITHIN;
    if (dead || stuck) {
      this.#lost(4002);
    } else if (this.state === 'online' && now - this.#heardAt > PING_AFTER && this.#pingAt <= this.#heardAt) {
      this.#pingAt = now;
      this.request('ping').catch(() => {});
    }
  }

  /** Lets go of the socket; whoever waits for an ack learns that none comes. */
  #drop() {
    const ws = this.#ws;
    if (!ws) return;
    this.#ws = null;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
    for (const room of this.rooms.values()) room.away();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const w of waiting) w.reject(new RoomtideError({ code: 'closed', message: 'not connected' }));
  }

  /** The connection ended. The code's range says when to come back. */
  #lost(code, text) {
    const steady = this.state === 'online' && Date.now() - this.#openedAt > STEADY;
    const reason = text ?? this.#bye?.message ?? '';
    code = this.#bye?.code ?? code;
    if (code >= 4400 && code < 4600) {
      this.close(reason);
      return;
    }
    this.#drop();
    if (steady) this.#tries = 0;
    const now = code >= 4000 && code < 4200 && this.#tries === 0;
    const later = code >= 4200 && code < 4400;
    const most = now ? 500 : Math.min((later ? 4_000 : 1_000) * 2 ** this.#tries, 30_000);
    this.#tries++;
    // Full jitter: a crowd comes back spread out. The server may ask for more.
    const pause = Math.max(Math.random() * most, this.#bye?.retry_after ?? 0);
    this.retryAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.connect(), pause);
    this.#become('waiting', reason);
  }
}
