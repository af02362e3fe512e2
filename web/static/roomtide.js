/**
 * Roomtide for browsers: one connection, many rooms, nothing lost or doubled.
 *
 *   import { Roomtide } from '/static/roomtide.js';
 *
 *   const chat = new Roomtide({ user: 'ada' });       // a guest, or { token }
 *   chat.addEventListener('state', () => show(chat.state, chat.reason));
 *   chat.addEventListener('room', (e) => draw(e.room, e.frame));
 *   chat.connect();
 *   chat.join('lobby');
 *   chat.send('lobby', 'Hello');
 *
 * Events: `state` (see connection.js), `rooms` (a room was added or removed, or the
 * list of the user's rooms is complete) and `room` (something changed in e.room;
 * e.frame is the event of the server, if there was one). The state of a room is in
 * chat.rooms.get(id), see room.js. roomtide.d.ts has the types.
 *
 * A message waits in chat.outbox.of(room) until it is stored: with accepted if the server
 * keeps it in its durable queue, with error and code if it was refused.
 *
 * After a lost connection the client reconnects by itself and each joined room
 * resumes after its rev, and what waits is sent. token may be a
 * function, asked for a token before each connection; a token that has expired or is
 * refused is asked for once more before the client stops.
 */
import { Connection, RoomtideError } from './connection.js';
import { Room } from './room.js';
import { Outbox } from './outbox.js';
import { subject } from './token.js';

export { RoomtideError };

const MAX_PAGES = 5; // after an absence of more pages than this the room is loaded anew
const TYPING_EVERY = 3_000;

class RoomEvent extends Event {
  constructor(room, frame) {
    super('room');
    this.room = room;
    this.frame = frame;
  }
}

export class Roomtide extends Connection {
  user = ''; // known from hello on, for a guest and from a token that says so before
  name = '';
  guest = false;
  limits = {};
  webPushKey = ''; // of the server, see push.js
  rooms = new Map(); // id -> Room
  listed = false; // rooms has all rooms of the user
  outbox;

  #options;
  #token;
  #renewed = false; // a refused token was asked for again
  #known = false; // the server has said which user this is
  #typedAt = new Map(); // room id -> when "typing" was last sent
  #moves = 0;
  #tellsForeground = false; // the server knows the command
  #sent = new Map(); // key of a message without an answer -> what to call when the server has it

  /**
   * @param {{user?: string, token?: string | (() => string | Promise<string>), name?: string, url?: string, storage?: Storage}} options
   *   user for a guest, otherwise token; url is the server's WebSocket, the one beside
   *   /static/roomtide.js unless given; storage keeps the outbox, localStorage
   *   unless given.
   */
  constructor(options) {
    super(options.url);
    this.#options = options;
    this.outbox = new Outbox(options.storage);
    this.outbox.onchange = () => this.dispatchEvent(new Event('rooms'));
    globalThis.document?.addEventListener('visibilitychange', () => this.#look());
    if (options.token && typeof options.token === 'string') this.#use(options.token);
    else if (options.user) this.#is(options.user);
  }

  /**
   * Joins a room, now or as soon as there is a connection, and keeps it joined.
   * If the server refuses, room.error has the reason. page: how many of the latest
   * messages to begin with.
   */
  join(id, page = 30) {
    const room = this.#room(id);
    room.wanted = true;
    room.error = room.code = '';
    if (!room.joined && this.state === 'online') this.#resume(room, page);
    return room;
  }

  async leave(id) {
    const room = this.#room(id);
    const was = room.wanted;
    room.wanted = false;
    try {
      await this.request('leave', { room: id });
    } catch (e) {
      room.wanted = was;
      if (was && this.state === 'online') this.#resume(room); // events and a join's reply were left out meanwhile
      throw e;
    }
    this.#forget(id);
  }

  /**
   * Puts a message into the outbox; it is sent, in order, until the server has it. mentions:
   * ids of users, besides those whose id follows an @ in the text.
   */
  send(id, text, replyTo, mentions) {
    const item = this.outbox.add(id, text, replyTo, mentions);
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

  /** Marks everything up to a message as read, the newest unless given, if it is not. */
  async read(id, upTo) {
    const room = this.rooms.get(id); // one that was left is drawn once more, and stays left
    const seq = upTo ?? room?.seq;
    if (!room?.joined || seq <= room.read || room.marking) return;
    room.marking = true;
    try {
      const ack = await this.request('read', { room: id, seq });
      room.marked(ack, this.user);
    } catch {
      // The mark stays where it was: the next call tries again.
    } finally {
      room.marking = false;
    }
    this.#changed(room);
  }

  /** Sends "typing", every few seconds at most. */
  typing(id, on) {
    const now = Date.now();
    const told = this.#typedAt.get(id) ?? 0;
    const due = on ? now - told > TYPING_EVERY : told > 0;
    if (!due || !this.rooms.get(id)?.joined || this.state !== 'online') return;
    this.#typedAt.set(id, on ? now : 0);
    this.tell('typing', { room: id, on });
  }

  /** Loads older messages into the room; resolves when they are there. */
  older(id, limit = 30) {
    return this.#load(id, (room) => room.more, async (room) => {
      const ack = await this.#history(id, { before: room.first || undefined, limit });
      return () => room.prepend(ack.messages, ack.more);
    });
  }

  /** Loads newer messages into a room that has not the newest. */
  newer(id, limit = 50) {
    return this.#load(id, (room) => room.later, async (room) => {
      const ack = await this.#history(id, { after: room.end, limit });
      return () => room.append(ack.messages, ack.more);
    });
  }

  /** Loads the messages around one, instead of those that are loaded. */
  around(id, seq) {
    return this.#load(id, () => true, async (room) => {
      const ack = await this.#history(id, { around: seq, limit: 60 });
      return () => room.jump(ack.messages, ack.more);
    });
  }

  /** Loads the newest messages, instead of those that are loaded. */
  latest(id) {
    return this.#load(id, (room) => room.later, async (room) => {
      const ack = await this.#history(id, { limit: 30 });
      return () => room.jump(ack.messages, ack.more);
    });
  }

  /** Says whether somebody looks: users whose pages are all hidden get push notifications. */
  #look() {
    if (this.state === 'online' && this.#tellsForeground) this.tell('foreground', { on: !document.hidden });
  }

  async #history(room, fields) {
    const ack = await this.request('history', { room, ...fields });
    return { messages: ack.messages ?? [], more: !!ack.more };
  }

  /** One load of a room at a time: ask fetches, and what it returns applies the answer. */
  async #load(id, due, ask) {
    const room = this.rooms.get(id);
    if (!room?.joined || room.loading || !due(room)) return;
    room.loading = true;
    const { first, end } = room;
    try {
      const apply = await ask(room);
      const same = room.first === first && (!room.later || room.end === end);
      if (same && this.rooms.get(id) === room) apply();
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

  /** The user, as the token says or as the server does, which is sure. */
  #is(user, sure = false) {
    if (this.#known && user !== this.user) {
      throw new RoomtideError({ code: 'another_user', message: 'the token is for another user' });
    }
    this.#known ||= sure;
    this.user = user;
    this.outbox.own(user);
  }

  #use(token) {
    if (!token) throw new RoomtideError({ code: 'unauthenticated', message: 'a token is needed' });
    this.#token = token;
    const user = subject(token);
    if (user) this.#is(user);
  }

  prepare() {
    const { token } = this.#options;
    return typeof token === 'function' ? (async () => this.#use(await token()))() : null;
  }

  renew() {
    const again = typeof this.#options.token === 'function' && !this.#renewed;
    this.#renewed ||= again;
    return again;
  }

  async greet() {
    const { user, name } = this.#options;
    const who = this.#token ? { token: this.#token } : { user };
    try {
      const ack = await this.request('hello', { ...who, name, client: 'roomtide-web' });
      this.#is(ack.user, true);
      this.name = ack.name || ack.user;
      this.guest = !!ack.guest;
      this.limits = ack.limits ?? {};
      this.webPushKey = ack.webpush_key ?? '';
      this.#tellsForeground = (ack.features ?? []).includes('foreground');
    } catch (e) {
      this.turnedAway(e);
      return;
    }
    this.#renewed = false;
    this.welcome();
    if (globalThis.document?.hidden) this.#look();
    const list = this.#list(); // requested first: it has the read marks
    for (const room of this.rooms.values()) if (room.wanted) this.#resume(room);
    for (const id of this.outbox.rooms()) this.join(id);
    await this.#follow(list);
  }

  /** All rooms of the user, page by page. */
  async #list() {
    const all = [];
    for (let after; ; ) {
      const ack = await this.request('rooms', { order: 'activity', after });
      all.push(...(ack.rooms ?? []));
      after = ack.next;
      if (!ack.more || !after) return all;
    }
  }

  /** Joins the rooms of the user, so that their events arrive. */
  async #follow(answer) {
    let list;
    try {
      list = await answer;
    } catch {
      return; // the next connection asks again
    }
    // A fifth is left for rooms the user opens by hand.
    let free = Math.floor((this.limits.rooms_per_conn ?? 50) * 0.8);
    for (const room of this.rooms.values()) if (room.wanted) free--;
    list.sort((a, b) => (b.last?.time ?? '').localeCompare(a.last?.time ?? ''));
    for (const summary of list) {
      const room = this.#room(summary.room);
      if (this.listed && summary.seq > room.seq) room.moved = ++this.#moves;
      room.summarize(summary);
      if (!room.wanted && free-- > 0) this.join(room.id, 1);
    }
    if (!this.listed) this.#order(list.reverse());
    this.listed = true;
    this.dispatchEvent(new Event('rooms'));
  }

  /** The first order of the rooms: as listed, those that are not listed yet last. */
  #order(list) {
    for (const { room } of list) this.rooms.get(room).moved = ++this.#moves;
    for (const room of this.rooms.values()) if (!room.known) room.moved = ++this.#moves;
  }

  /** Joins the room after its rev, then sends its outbox. */
  async #resume(room, page = 30) {
    if (room.resuming) return;
    room.resuming = true;
    room.joined = false;
    const before = room.seq;
    try {
      for (let pages = 1; !room.joined; pages++) {
        const fresh = !room.rev || pages > MAX_PAGES;
        const ack = await this.insist('join', { room: room.id, ...(fresh ? { limit: page } : { after: room.rev }) });
        if (room.wanted) room.catchUp(ack, fresh || !!ack.reset);
        else return; // left, or put out, meanwhile
        room.joined = fresh || !!ack.reset || !ack.more;
      }
      for (const m of room.messages) if (m.user === this.user) this.outbox.remove(m.key);
      if (!room.moved || room.seq > before) room.moved = ++this.#moves;
    } catch (e) {
      if (e.code !== 'closed') {
        room.error = e.message;
        room.code = e.code;
        room.wanted = false;
      }
    } finally {
      room.resuming = false;
    }
    this.#changed(room);
    this.#flush(room);
  }

  /** Sends what waits for this room: each message when the server has the one before, so that order holds. */
  async #flush(room) {
    if (room.flushing) return;
    room.flushing = true;
    let item;
    while (room.joined && (item = this.outbox.next(room.id, this.#sent))) {
      if (!(await new Promise((had) => this.#post(room, item, had)))) break; // goes on when the room is joined again
    }
    room.flushing = false;
  }

  /** Sends a message. Calls had as soon as the server has it or has refused it, with false if the connection ends before. */
  async #post(room, { key, message, reply_to, mentions }, had) {
    this.#sent.set(key, had);
    let open = true;
    try {
      const ack = await this.insist('message', { room: room.id, message, key, reply_to, mentions });
      room.put({ ...ack, user: this.user, message, key, reply_to, mentions });
      this.outbox.remove(key);
    } catch (e) {
      open = e.code !== 'closed';
      if (open) this.outbox.fail(key, e.message, e.code);
    }
    this.#sent.delete(key);
    had(open);
    this.#changed(room);
  }

  /** The message is in the durable queue of the server; one that has its answer is not sent any more. */
  #accepted(key) {
    const had = this.#sent.get(key);
    if (!had) return;
    const { room } = this.outbox.accept(key) ?? {};
    had(true);
    if (this.rooms.has(room)) this.#changed(this.rooms.get(room));
  }

  hear(f) {
    if (f.type === 'accepted') this.#accepted(f.key);
    const room = this.rooms.get(f.room);
    if (room?.wanted) this.#event(room, f);
  }

  away() {
    for (const room of this.rooms.values()) room.away();
  }

  #event(room, f) {
    if (f.type === 'gap' || !room.apply(f, this.user)) {
      if (room.joined) this.#resume(room);
      return;
    }
    if (f.type === 'message') room.moved = ++this.#moves;
    if (f.type === 'message' && f.user === this.user) this.outbox.remove(f.key);
    if (!room.present && (f.deleted ? f.type === 'room' : f.type === 'member' && f.user === this.user)) this.#putOut(room, f);
    this.#changed(room, f);
  }

  /** The membership has ended: the room stays as it was for those that show it, and says why. */
  #putOut(room, f) {
    room.wanted = room.joined = false;
    room.code = f.deleted ? 'deleted' : room.role === 'banned' ? 'banned' : 'removed';
    room.error = { deleted: 'this room was deleted', banned: 'you are banned from this room', removed: 'you are not a member of this room any more' }[room.code];
    this.#forget(room.id);
  }
}
