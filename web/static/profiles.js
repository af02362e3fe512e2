/**
 * What users are called and look like who are members of a large room: of its members the
 * server tells a part, and the profiles of others are asked for when they are drawn.
 */
import { paced } from './dom.js';

const ASK_EVERY = 500; // milliseconds

export class Profiles {
  #chat;
  #draw; // asks for a redraw
  #known = new Map(); // user -> {name, avatar}, empty where the server knows nothing
  #wanted = new Set();
  #asking = false;
  #ask = paced(ASK_EVERY, () => this.#fetch());

  constructor(chat, draw) {
    this.#chat = chat;
    this.#draw = draw;
  }

  /** The name of a user in the list of a room. */
  nameOf(room, user) {
    const name = room.nameOf(user);
    return name === user ? (this.#of(room, user).name ?? user) : name;
  }

  /** The address of a user's picture. */
  avatarOf(room, user) {
    return room.avatarOf(user) || (this.#of(room, user).avatar ?? '');
  }

  #of(room, user) {
    if (room.members.has(user) || room.memberCount <= room.members.size) return {}; // all are told
    const found = this.#known.get(user);
    if (found) return found;
    this.#wanted.add(user);
    this.#ask();
    return {};
  }

  async #fetch() {
    if (this.#asking || !this.#wanted.size || this.#chat.state !== 'online') return;
    this.#asking = true;
    const of = [...this.#wanted].slice(0, this.#chat.limits.page_messages ?? 50);
    try {
      const ack = await this.#chat.request('users', { of });
      const users = ack.users ?? [];
      const told = ack.more ? of.slice(0, of.indexOf(users.at(-1)?.user) + 1) : of;
      for (const user of told) this.#known.set(user, {});
      for (const { user, name, avatar } of users) this.#known.set(user, { name, avatar });
      this.#draw();
    } catch {
      // What is drawn next asks again.
    } finally {
      this.#wanted.clear();
      this.#asking = false;
    }
  }
}
