/**
 * The state of a room in this client: the newest messages without holes, the
 * members, the users online. Every durable event has a rev; a room that is complete
 * up to rev R applies the change R+1 and nothing else. Messages are never changed in
 * place, so that === detects the ones to be drawn again.
 */
export class Room {
  title = '';
  open = true;
  readOnly = false;
  role = 'none';
  rev = 0; // complete up to here; 0: not joined yet
  seq = 0; // the newest message
  messages = []; // ascending seq, no holes
  more = false; // there are older ones
  members = new Map(); // user -> {name, role, avatar, data, until}
  names = new Map(); // user -> the name in a message, for authors who are not in members
  memberCount = 0;
  online = new Set();
  onlineCount = 0;
  unread = 0; // by others
  read = -1; // the user's own mark as the server has it; -1: not known yet
  marks = new Map(); // user -> read mark, from events since the join
  typing = new Map(); // user -> when it expires
  error = ''; // the reason for which a join was refused
  last = null; // the newest message, loaded or not

  // Owned by the connection.
  wanted = false;
  joined = false;
  resuming = false;
  flushing = false;
  marking = false;
  loading = false;

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

  get newest() {
    return this.messages.at(-1) ?? this.last;
  }

  get present() {
    return this.role !== 'none' && this.role !== 'banned';
  }

  get moderates() {
    return this.role === 'moderator' || this.role === 'owner';
  }

  nameOf(user) {
    return this.members.get(user)?.name || this.names.get(user) || user;
  }

  find(seq) {
    const m = this.messages[this.#index(seq)];
    return m?.seq === seq ? m : undefined;
  }

  /** Applies an entry of the reply to "rooms". */
  summarize(s) {
    this.title = s.title ?? '';
    this.role = s.role ?? this.role;
    this.read = s.read ?? 0;
    this.unread = s.unread ?? 0;
    this.seq = Math.max(this.seq, s.seq ?? 0);
    this.last = s.last ?? this.last;
  }

  /** Applies the reply to "join": all of the room, or what changed since rev. */
  catchUp(ack, fresh) {
    if (fresh) {
      this.messages = [];
      this.members.clear();
      this.more = !!ack.more;
    }
    for (const m of ack.messages ?? []) this.put(m);
    for (const m of ack.members ?? []) this.#member(m);
    this.rev = ack.rev;
    this.seq = fresh ? ack.seq : Math.max(this.seq, ack.seq ?? 0);
    this.role = ack.role ?? this.role;
    this.title = ack.title ?? '';
    this.open = ack.open ?? this.open;
    this.readOnly = !!ack.read_only;
    this.memberCount = ack.member_count ?? this.memberCount;
    this.online = new Set(ack.online ?? []);
    this.onlineCount = ack.online_count ?? this.online.size;
    if (this.read < 0) this.read = this.seq - (ack.unread ?? 0);
    this.unread = Math.max(0, this.seq - this.read);
  }

  /** Inserts a message. One older than those that are loaded is left out: it would leave a hole. */
  put(m) {
    if (this.more && m.seq < this.first) return;
    if (m.name) this.names.set(m.user, m.name);
    const at = this.#index(m.seq);
    const old = this.messages[at];
    if (old?.seq !== m.seq) this.messages.splice(at, 0, m);
    else if (m.rev >= old.rev) this.messages[at] = m;
  }

  /** Adds messages older than all that are loaded. */
  prepend(messages, more) {
    this.more = false;
    for (const m of messages) this.put(m);
    this.more = more && messages.length > 0;
  }

  /** Drops the oldest messages beyond count; they can be loaded again. */
  trim(count) {
    if (this.loading || this.messages.length <= count) return;
    this.messages.splice(0, this.messages.length - count);
    this.more = true;
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
    this.put(f);
    this.seq = Math.max(this.seq, f.seq);
    this.typing.delete(f.user);
    if (f.user !== me) this.unread++;
  }

  on_edited(f) {
    const old = this.find(f.seq);
    if (old) this.put({ ...old, ...f, reactions: f.reactions ?? old.reactions });
  }

  on_deleted(f) {
    const old = this.find(f.seq);
    if (old) this.put({ ...old, rev: f.rev, message: '', reactions: [], deleted: true });
  }

  on_reacted(f) {
    const old = this.find(f.seq);
    if (!old) return;
    const reactions = (old.reactions ?? []).map((r) => ({ ...r }));
    let r = reactions.find((r) => r.emoji === f.emoji);
    if (!r) reactions.push((r = { emoji: f.emoji, count: 0, users: [] }));
    r.users = r.users.filter((u) => u !== f.user);
    if (f.on) r.users.push(f.user);
    r.count += f.on ? 1 : -1; // users may hold only some of many
    this.put({ ...old, rev: f.rev, reactions: reactions.filter((r) => r.count > 0) });
  }

  on_member(f, me) {
    const was = this.members.has(f.user);
    this.#member(f);
    this.memberCount += this.members.has(f.user) - was;
    if (f.user === me) this.role = f.role;
  }

  on_room(f) {
    this.title = f.title ?? '';
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
  }

  on_typing(f, me) {
    if (f.user === me) return;
    if (f.on) this.typing.set(f.user, Date.now() + 5_000);
    else this.typing.delete(f.user);
  }

  on_read(f, me) {
    if (f.user !== me) {
      this.marks.set(f.user, Math.max(f.seq, this.marks.get(f.user) ?? 0));
      return;
    }
    this.read = Math.max(this.read, f.seq);
    if (f.seq >= this.seq) this.unread = 0;
  }

  #member(m) {
    if (m.role === 'none' || m.role === 'banned') this.members.delete(m.user);
    else this.members.set(m.user, { name: m.name, role: m.role, avatar: m.avatar, data: m.data, until: m.until });
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
