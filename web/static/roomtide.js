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
 * Events: `state` (see connection.js), `rooms` (a room was added or removed) and
 * `room` (something changed in e.room; e.frame is the event of the server, if there
 * was one). The state of a room is in chat.rooms.get(id), see room.js.
 *
 * After a lost connection the client reconnects by itself and each joined room
 * resumes after its rev. What was sent meanwhile waits in the outbox.
 */
import { Connection } from './connection.js';
import { Room } from './room.js';
import { Outbox } from './outbox.js';

export { RoomtideError } from './connection.js';

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
  user = ''; // known from hello on, for a guest from the start
  name = '';
  limits = {};
  rooms = new Map(); // id -> Room
  outbox;

  #options;
  #typedAt = new Map(); // room id -> when "typing" was last sent

  /**
   * @param {{user?: string, token?: string, name?: string, url?: string, storage?: Storage}} options
   *   user for a guest, otherwise token; url defaults to ws beside
   *   this page; storage keeps the outbox, localStorage unless given.
   */
  constructor(options) {
    super(options.url);
    this.#options = options;
    if (options.user) this.#is(options.user);
  }

  /**
   * Joins a room, now or as soon as there is a connection, and keeps it joined.
   * If the server refuses, room.error has the reason. page: how many of the latest
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

  #is(user) {
    if (this.user === user && this.outbox) return;
    this.user = user;
    this.outbox = new Outbox(user, this.#options.storage);
    this.outbox.onchange = () => this.dispatchEvent(new Event('rooms'));
  }

  async greet() {
    const { user, token, name } = this.#options;
    try {
      const ack = await this.request('hello', { ...(token ? { token } : { user }), name, client: 'roomtide-web' });
      this.#is(ack.user);
      this.name = ack.name || ack.user;
      this.limits = ack.limits ?? {};
    } catch (e) {
      this.turnedAway(e);
      return;
    }
    this.welcome();
    const list = this.request('rooms'); // requested first: it has the read marks
    for (const room of this.rooms.values()) if (room.wanted) this.#resume(room);
    for (const id of this.outbox.rooms()) this.join(id);
    await this.#follow(list);
  }

  /** Joins the rooms of the user, so that their events arrive. */
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

  /** Joins the room after its rev, then sends its outbox. */
  async #resume(room, page = 30) {
    if (room.resuming) return;
    room.resuming = true;
    room.joined = false;
    try {
      for (let pages = 1; !room.joined; pages++) {
        const fresh = !room.rev || pages > MAX_PAGES;
        const ack = await this.insist('join', { room: room.id, ...(fresh ? { limit: page } : { after: room.rev }) });
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

  /** Sends what waits for this room, one after the other so that order holds. */
  async #flush(room) {
    if (room.flushing) return;
    room.flushing = true;
    let item;
    while (room.joined && (item = this.outbox.next(room.id))) {
      const { key, message, reply_to } = item;
      try {
        const ack = await this.insist('message', { room: room.id, message, key, reply_to });
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

  hear(f) {
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
    if (f.type === 'message' && f.user === this.user) this.outbox.remove(f.key);
    if (f.type === 'member' && f.user === this.user && !room.present) this.#forget(room.id);
    this.#changed(room, f);
  }
}
