const LINES = /[\u202a-\u202e\u2066-\u2069]/g; // turn the text around them

/**
 * The state of a room in this client: a run of messages without holes, the members,
 * the users online. Every durable event has a rev; a room that is complete up to rev
 * R applies the change R+1 and nothing else. The run is mostly the newest messages;
 * a reader further up has another, and then `later` is true. Messages are never
 * changed in place, so that === detects the ones to be drawn again.
 */
export class Room {
  title = '';
  topic = '';
  avatar = '';
  data; // of the application
  open = true;
  readOnly = false;
  archived = false;
  role = 'none';
  rev = 0; // complete up to here; 0: not joined yet
  seq = 0; // the newest message
  messages = []; // ascending seq, no holes
  more = false; // there are older ones
  later = false; // there are newer ones
  members = new Map(); // user -> {name, role, avatar, data, until}
  names = new Map(); // user -> the name in a message, for authors who are not in members
  memberCount = 0;
  online = new Set();
  onlineCount = 0;
  degraded = false; // who is online may be out of date
  unread = 0; // by others
  unreadMore = false; // there may be more: the server did not count all
  read = -1; // the user's own mark as the server has it; -1: not known yet
  marks = new Map(); // user -> read mark, from events since the join
  typing = new Map(); // user -> when it expires
  error = ''; // the reason for which a join was refused
  code = ''; // the same as a code of errors; 'removed', 'banned' or 'deleted': put out while in the room
  last = null; // the newest message, loaded or not
  moved = 0; // rooms in the order of their newest messages' arrival here

  // Owned by the connection.
  wanted = false;
  joined = false;
  resuming = false;
  flushing = false;
  marking = false;
  loading = false;
  known = false; // it is a room of the user, as the server says
  #held = []; // changes to messages that may be on their way in an answer

  constructor(id) {
    this.id = id;
  }

  get name() {
    return this.title || this.id;
  }

  /** The oldest message that is loaded, 0 if there is none. */
  get first() {
    return this.messages[0]?.seq ?? 0;
  }

  /** The newest message that is loaded, 0 if there is none. */
  get end() {
    return this.messages.at(-1)?.seq ?? 0;
  }

  get newest() {
    return (this.later ? null : this.messages.at(-1)) ?? this.last;
  }

  get present() {
    return this.role !== 'none' && this.role !== 'banned';
  }

  /** The user may write here. */
  get writable() {
    return this.role !== 'muted' && !this.archived && (!this.readOnly || this.moderates);
  }

  get moderates() {
    return this.role === 'moderator' || this.role === 'owner';
  }

  nameOf(user) {
    return plain(this.members.get(user)?.name || this.names.get(user) || user);
  }

  /** The name of a message's sender, who may have left or never been a member. */
  authorOf(m) {
    return plain(this.members.get(m.user)?.name || m.name || m.user);
  }

  /** The address of a user's picture, if the host has given one. */
  avatarOf(user) {
    return this.members.get(user)?.avatar ?? '';
  }

  find(seq) {
    const m = this.messages[this.#index(seq)];
    return m?.seq === seq ? m : undefined;
  }

  /** Applies an entry of the reply to "rooms". */
  summarize(s) {
    this.known = true;
    this.#info(s);
    this.role = s.role ?? this.role;
    this.read = s.read ?? 0;
    this.unread = s.unread ?? 0;
    this.unreadMore = !!s.unread_more;
    this.seq = Math.max(this.seq, s.seq ?? 0);
    this.last = s.last ?? this.last;
  }

  /** Applies the reply to "join": all of the room, or what changed since rev. */
  catchUp(ack, fresh) {
    if (fresh) {
      this.messages = [];
      this.members.clear();
      this.more = !!ack.more;
      this.later = false;
    }
    for (const m of ack.messages ?? []) this.put(m);
    for (const m of ack.members ?? []) this.#member(m);
    this.rev = ack.rev;
    this.seq = fresh ? ack.seq : Math.max(this.seq, ack.seq ?? 0);
    this.role = ack.role ?? this.role;
    this.#info(ack);
    this.open = ack.open ?? this.open;
    this.readOnly = !!ack.read_only;
    this.memberCount = ack.member_count ?? this.memberCount;
    this.online = new Set(ack.online ?? []);
    this.onlineCount = ack.online_count ?? this.online.size;
    this.degraded = !!ack.degraded;
    this.unread = ack.unread ?? this.unread;
    if (ack.unread !== undefined) this.unreadMore = !!ack.unread_more;
    if (this.read < 0) this.read = ack.read ?? this.seq - this.unread;
    this.code = this.error = '';
    this.known = true;
  }

  /** Inserts a message. One that is not beside those that are loaded is left out: it would leave a hole. */
  put(m) {
    if (m.seq >= (this.last?.seq ?? 0)) this.last = m;
    if (this.more && m.seq < this.first) return;
    if (this.later && m.seq > this.end) return;
    this.#learn(m);
    const at = this.#index(m.seq);
    const old = this.messages[at];
    if (old?.seq !== m.seq) this.messages.splice(at, 0, m);
    else if (m.rev >= old.rev) this.messages[at] = m;
  }

  /** Adds messages older than all that are loaded. */
  prepend(messages, more) {
    this.messages.unshift(...messages.filter((m) => !this.messages.length || m.seq < this.first));
    this.more = more && messages.length > 0;
    this.#settle();
  }

  /** Adds messages newer than all that are loaded. */
  append(messages, more) {
    this.messages.push(...messages.filter((m) => m.seq > this.end));
    this.#settle();
    this.later = more || this.end < this.seq;
  }

  /** Replaces the messages by another run of the room's. */
  jump(messages, more) {
    this.messages = messages;
    this.more = more;
    this.#settle();
    this.later = this.end < this.seq;
  }

  /** Drops messages beyond count at the end that is farther from the reader; they can be loaded again. */
  trim(count, oldest = true) {
    const over = this.messages.length - count;
    if (this.loading || over <= 0) return;
    this.messages.splice(oldest ? 0 : count, over);
    if (oldest) this.more = true;
    else this.later = true;
  }

  /** The connection has ended: drops the state that holds only while connected. */
  away() {
    this.joined = false;
    this.typing.clear();
  }

  /** Applies an event. False: something before it is missing, the room must catch up first. */
  apply(f, me) {
    if (f.rev) {
      if (f.rev <= this.rev) return true;
      if ((f.since ?? f.rev - 1) > this.rev) return false; // since: one event for several changes
      this.rev = f.rev;
    }
    this[`on_${f.type}`]?.(f, me);
    return true;
  }

  on_message(f, me) {
    if (this.loading) this.#held.push({ f });
    this.put(f);
    this.seq = Math.max(this.seq, f.seq);
    this.typing.delete(f.user);
    if (f.user !== me) this.unread++;
    else if (!this.unread) this.read = Math.max(this.read, f.seq);
  }

  on_edited(f) {
    this.#change(f, (old) => ({ ...old, ...f, reactions: f.reactions ?? old.reactions }));
  }

  on_deleted(f, me) {
    const fresh = f.seq > this.read && f.user !== me && !this.find(f.seq)?.deleted;
    if (fresh && this.unread > 0) this.unread--;
    this.#change(f, (old) => ({ ...old, rev: f.rev, message: '', reactions: [], deleted: true }));
  }

  on_reacted(f) {
    this.#change(f, (old) => {
      const reactions = (old.reactions ?? []).map((r) => ({ ...r }));
      let r = reactions.find((r) => r.emoji === f.emoji);
      if (!r) reactions.push((r = { emoji: f.emoji, count: 0, users: [] }));
      r.users = r.users.filter((u) => u !== f.user);
      if (f.on) r.users.push(f.user);
      r.count += f.on ? 1 : -1; // users may hold only some of many
      return { ...old, rev: f.rev, reactions: reactions.filter((r) => r.count > 0) };
    });
  }

  on_member(f, me) {
    const was = this.members.has(f.user);
    this.#member(f);
    this.memberCount += this.members.has(f.user) - was;
    if (f.user === me) this.role = f.role;
  }

  on_room(f) {
    if (f.deleted) {
      this.role = 'none';
      this.messages = [];
      this.members.clear();
      this.last = undefined;
      this.seq = this.unread = 0;
      return;
    }
    this.#info(f);
    this.open = !!f.open;
    this.readOnly = !!f.read_only;
  }

  on_presence(f) {
    for (const user of f.came ?? []) this.online.add(user);
    for (const user of f.went ?? []) {
      this.online.delete(user);
      this.typing.delete(user);
    }
    this.onlineCount = f.online;
    this.degraded = !!f.degraded;
  }

  on_typing(f, me) {
    if (f.user === me) return;
    if (f.on) this.typing.set(f.user, Date.now() + 5_000);
    else this.typing.delete(f.user);
  }

  on_read(f, me) {
    if (f.user === me) this.marked(f, me);
    else this.marks.set(f.user, Math.max(f.seq, this.marks.get(f.user) ?? 0));
  }

  /** The user's own mark is at seq, set here or by another device; unread: what the server counts after it, if it says. */
  marked({ seq, unread, unread_more }, me) {
    if (seq < this.read) return;
    const before = this.read;
    this.read = seq;
    const after = this.messages.filter((m) => m.seq > seq && m.user !== me && !m.deleted).length;
    const all = seq >= this.seq || (!this.later && (!this.more || this.first <= seq + 1));
    if (all) this.unread = seq >= this.seq ? 0 : after;
    else {
      // At least what was unread before without what is read now: the server may have counted
      // before messages that have come meanwhile.
      const least = Math.min(this.unread - (seq - before), this.seq - seq);
      this.unread = Math.max(unread ?? 0, after, least);
    }
    if (all || unread !== undefined) this.unreadMore = !all && !!unread_more;
  }

  /** What the application says of the room; what is missing is empty. */
  #info(f) {
    this.title = f.title ?? '';
    this.topic = f.topic ?? '';
    this.avatar = f.avatar ?? '';
    this.data = f.data;
    this.archived = !!f.archived;
  }

  #member(m) {
    if (m.role === 'none' || m.role === 'banned') this.members.delete(m.user);
    else this.members.set(m.user, { name: m.name, role: m.role, avatar: m.avatar, data: m.data, until: m.until });
  }

  #learn(m) {
    if (m.name) this.names.set(m.user, m.name);
  }

  /** Replaces a message by what a change makes of it. */
  #change(f, next) {
    const old = this.find(f.seq);
    if (old) this.put(next(old));
    if (this.loading) this.#held.push({ f, next }); // loaded or not: the answer may replace the run
    if (!old && this.last?.seq === f.seq) this.last = next(this.last);
  }

  /** Events that came before an answer that was read before them. */
  #settle() {
    this.messages.forEach(this.#learn, this);
    for (const { f, next } of this.#held) {
      const old = this.find(f.seq);
      if (next && old?.rev < f.rev) this.put(next(old));
      if (!next && f.seq === this.end + 1) this.messages.push(f);
    }
    this.#held = [];
  }

  /** Where the message is, or would be. */
  #index(seq) {
    let low = 0;
    let high = this.messages.length;
    while (low < high) {
      const mid = (low + high) >> 1;
      if (this.messages[mid].seq < seq) low = mid + 1;
      else high = mid;
    }
    return low;
  }
}

/** A name without characters that turn the text around it. */
function plain(name) {
  return name.replace(LINES, '');
}
