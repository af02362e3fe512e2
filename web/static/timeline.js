/** The messages of the room that is shown: what is drawn, where the reader is, what was seen. */
import { $, arrows, el, put, sync, write } from './dom.js';
import { dateOf, dayOf, t, words } from './strings.js';
import { Actions } from './actions.js';
import { Row } from './row.js';

const AT_BOTTOM = 60; // pixels that still count as the end
const LOAD_WITHIN = 600; // pixels from an end where more messages are fetched
const KEEP = 150; // messages kept when there are too many
const MOST = 200; // messages drawn
const ROW = [36, 64]; // pixels of a message in a burst, at least and at most
const SPARE = 150; // pixels above the screen that are drawn in a burst, to scroll into
const PART = 30; // messages drawn at a time when the burst is over
const CALM = 500; // milliseconds after which a burst is over
const READ_EVERY = 1_000;
const GROUP = 5 * 60_000; // a sender's messages closer than this stand together

export class Timeline {
  #chat;
  #actions;
  #row;
  #profiles;
  #draw; // asks for a redraw
  #room = null;
  #newFrom = 0; // the first seq that was unread when the room was opened; 0: not known yet
  #opening = false; // the first unread message is still to be found and shown
  #low = true; // the reader is at the end and stays there
  #later = false; // there are messages behind those that were drawn
  #target = 0; // a seq to be shown as soon as it is there
  #seen = 0; // the newest message that was on the screen
  #reading = 0;
  #quotes = new Map(); // seq -> message, null: gone or on its way
  #stop = null; // the message that Tab comes to
  #from = 0; // the first seq that is drawn, 0: all; behind it only in a burst
  #drawn = 0; // the newest message that was drawn
  #calm = 0; // the timer that ends a burst
  #height = 0; // of the box
  #rowHeight = ROW[0]; // on the average
  #box = $('timeline');
  #list = $('messages');

  /** ask is called with the action on a message: reply, edit, fail. */
  constructor(chat, profiles, ask, draw) {
    this.#chat = chat;
    this.#profiles = profiles;
    this.#draw = draw;
    this.#actions = new Actions(chat, ask);
    this.#row = new Row(chat, this.#actions, (seq) => this.#reveal(seq));
    this.#box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    arrows(this.#box, '.message', (by) => by > 0 && $('text').focus());
    new ResizeObserver(() => this.#resized()).observe(this.#box);
    for (const type of ['pointerover', 'focusin', 'click']) {
      this.#list.addEventListener(type, (e) => this.#row.point(e.target.closest('.message')));
    }
    this.#list.addEventListener('pointerleave', () => this.#actions.hide());
    $('text').addEventListener('focus', () => this.#actions.hide());
    $('jump').addEventListener('click', () => this.#toNewest());
    document.addEventListener('visibilitychange', () => this.#shown());
  }

  /** The reader sees the newest message. */
  get atEnd() {
    return this.#low && !this.#opening && !document.hidden;
  }

  show(room) {
    this.#room = room;
    this.#row.room = room;
    this.#low = true;
    this.#later = false;
    this.#opening = true;
    this.#newFrom = this.#target = this.#seen = this.#from = this.#drawn = 0;
    this.#quotes.clear();
    sync(this.#list, [], () => {});
  }

  /** The user has sent a message: scrolls to it. */
  follow() {
    this.#newFrom = Infinity;
    this.#toNewest();
  }

  /** One pass per frame: the rows are written, then the position is read and set. */
  draw() {
    const room = this.#room;
    if (!room) return;
    if (this.#opening && room.joined) this.#open(room);
    if (this.#low && !this.#opening && room.messages.length > MOST) room.trim(KEEP);
    this.#window(room);
    this.#later = room.later;
    const anchor = this.#low || this.#target ? null : this.#firstVisible();
    const before = anchor?.getBoundingClientRect().bottom;
    const changed = sync(this.#list, this.#items(room), (node, item) => item.draw(node, item));
    this.#tabStop();
    if (this.#low) changed && this.#toEnd();
    else if (anchor?.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().bottom - before;
    if (this.#target) this.#toTarget(room);
    this.#scrolled();
  }

  /**
   * Leaves out what would be drawn above the screen only: in a burst, when more messages
   * have come since the last frame than fit on the screen, the last ones are drawn. When
   * it is over, or the reader scrolls up, the others follow in parts.
   */
  #window(room) {
    const { messages } = room;
    const at = messages.length - Math.ceil((this.#height + SPARE) / this.#rowHeight);
    const drawn = this.#drawn;
    this.#drawn = room.end;
    if (this.#low && !this.#opening && drawn && at > 0 && messages[at].seq > drawn + 1) {
      this.#from = messages[at].seq;
      clearTimeout(this.#calm);
      this.#calm = setTimeout(() => {
        this.#calm = 0;
        this.#draw();
      }, CALM);
    } else if (this.#from && (!this.#low || !this.#calm)) {
      const start = messages.findIndex((m) => m.seq >= this.#from);
      const far = this.#target && this.#target < this.#from;
      this.#from = start > PART && !far ? messages[start - PART].seq : 0;
      if (this.#from) this.#draw();
    }
  }

  /** Shows the first unread message, or the end if there is none. */
  #open(room) {
    this.#newFrom ||= room.unread ? room.read + 1 : Infinity;
    const last = room.messages.at(-1)?.seq ?? 0;
    const from = this.#newFrom;
    this.#opening = false;
    if (from === Infinity || from > room.seq) return;
    this.#low = false;
    this.#target = from;
    if ((room.more && room.first > from) || last < from) {
      this.#load(this.#chat.around(room.id, from));
    }
  }

  /** Waits for messages that the target is among. Without them, the reader is at the end. */
  #load(loading) {
    const room = this.#room;
    loading
      .catch(() => {})
      .then(() => {
        if (this.#room === room && this.#target && !room.find(this.#target)) {
          this.#low = !(this.#later = room.later);
          this.#target = 0;
        }
        this.#draw();
      });
  }

  #toTarget(room) {
    const seq = this.#target;
    if (!room.find(seq)) return;
    const node = this.#list.rows.get('new') ?? null;
    const opened = node && seq === this.#newFrom;
    const row = opened ? node : this.#list.rows.get(this.#idOf(room.find(seq)));
    this.#target = 0;
    if (!row) return;
    const { top } = this.#box.getBoundingClientRect();
    const part = opened ? 0.15 : 0.4;
    this.#box.scrollTop += row.getBoundingClientRect().top - top - part * this.#box.clientHeight;
    if (!opened) row.focus({ preventScroll: true });
  }

  /** The page is shown again: at what came meanwhile, if the reader was at the end. */
  #shown() {
    const room = this.#room;
    if (!room) return;
    if (document.hidden && this.#low) this.#newFrom = room.seq + 1;
    else if (this.#low && room.unread) this.#opening = true;
    this.#draw();
  }

  #items(room) {
    const items = [];
    const line = (id, kind, text) => items.push({ id, was: [kind, text], draw: drawLine });
    if (room.more || this.#from) line('top', 'note', t('loading'));
    else if (room.rev) line('top', 'note', t('beginning', { room: room.name }));
    let day = 0;
    let previous = null;
    let marked = false;
    const me = this.#chat.user;
    const waiting = room.later ? [] : this.#chat.outbox.of(room.id).map((item) => pending(item, me));
    const shown = this.#from ? room.messages.filter((m) => m.seq >= this.#from) : room.messages;
    for (const m of [...shown, ...waiting]) {
      const own = m.user === me;
      const { today, ms } = timeOf(m);
      if (today !== day) {
        day = today;
        line(`day${m.seq ?? m.key}`, 'day', dateOf(m.time));
        previous = null;
      }
      if (!marked && !own && this.#newFrom && m.seq >= this.#newFrom) {
        marked = true;
        line('new', 'new', t('newHere'));
        previous = null;
      }
      const follows = previous?.user === m.user && Math.abs(ms - timeOf(previous).ms) < GROUP;
      const quoted = m.reply_to ? this.#quote(room, m.reply_to) : undefined;
      const name = room.authorOf(m);
      const quotedName = quoted ? room.authorOf(quoted) : '';
      const picture = own || follows ? '' : this.#profiles.avatarOf(room, m.user);
      const was = [m.item ?? m, follows, name, quoted, quotedName, own, picture];
      items.push({ id: this.#idOf(m), m, own, follows, quoted, quotedName, name, picture, was, draw: this.#row.draw });
      previous = m;
    }
    if (room.later) line('end', 'note', t('loading'));
    else this.#readers(room, previous, items);
    return items;
  }

  #idOf(m) {
    return m.user === this.#chat.user && m.key ? m.key : m.seq;
  }

  /** Under the user's own newest message: the users that have read it. */
  #readers(room, last, items) {
    if (!last?.seq || last.user !== this.#chat.user) return;
    const users = [...room.marks.keys()].filter((user) => room.marks.get(user) >= last.seq);
    if (!users.length) return;
    const names = users.slice(0, 5).map((user) => room.nameOf(user)).join(', ');
    const all = users.length > 5 ? `${names} +${users.length - 5}` : names;
    const draw = (node) => {
      node.className = 'seen';
      write(node, ...words('seenBy', { names: all }));
    };
    items.push({ id: 'seen', was: [all], draw });
  }

  /** The message a reply is to: loaded, or fetched once. */
  #quote(room, seq) {
    const known = room.find(seq) ?? this.#quotes.get(seq);
    if (known !== undefined || !room.joined) return known;
    this.#quotes.set(seq, null);
    this.#chat.quote(room.id, seq).then(
      (m) => {
        this.#quotes.set(seq, m);
        this.#draw();
      },
      () => this.#quotes.delete(seq),
    );
    return null;
  }

  /** Shows a message, which is loaded if need be. */
  #reveal(seq) {
    const room = this.#room;
    this.#target = seq;
    this.#low = false;
    if (room.find(seq)) this.#draw();
    else this.#load(this.#chat.around(room.id, seq));
  }

  #toNewest() {
    const room = this.#room;
    this.#target = 0;
    const down = () => {
      if (this.#room !== room || room.later) return;
      this.#low = true;
      this.#later = false;
      this.#toEnd();
      this.#draw();
    };
    if (room.later) this.#chat.latest(room.id).then(down, () => {});
    else down();
  }

  /** Reads where the reader is, and asks for what that needs. */
  #scrolled() {
    const room = this.#room;
    if (!room) return;
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    const below = scrollHeight - scrollTop - clientHeight;
    if (scrollHeight > clientHeight) {
      this.#rowHeight = Math.min(Math.max(scrollHeight / this.#list.childElementCount, ROW[0]), ROW[1]);
    }
    this.#low = below < AT_BOTTOM && !this.#later && !this.#target;
    const last = this.#low ? room.seq : this.#lastVisible();
    put($('jump'), 'hidden', this.#low);
    if (!this.#low) write($('jump'), room.unread ? t('newBelow', { n: `${room.unread}${room.unreadMore ? '+' : ''}` }) : t('newest'));
    if (!room.joined || this.#opening || this.#target) return;
    if (!document.hidden) this.#seen = Math.max(this.#seen, last);
    this.#read(room);
    const up = room.more && !this.#from && scrollTop < LOAD_WITHIN;
    const down = room.later && below < LOAD_WITHIN;
    if (!this.#low && room.messages.length > MOST) this.#trim(room, scrollTop > below);
    if (up) this.#chat.older(room.id).catch(() => {}); // the next scroll asks again
    else if (down) this.#chat.newer(room.id).catch(() => {});
  }

  #trim(room, oldest) {
    if (room.loading) return;
    room.trim(KEEP, oldest);
    this.#draw();
  }

  /** Marks what was seen as read, now or when the last mark is a while ago. */
  #read(room) {
    if (this.#reading || this.#seen <= room.read) return;
    this.#chat.read(room.id, this.#seen);
    this.#reading = setTimeout(() => {
      this.#reading = 0;
      this.#draw();
    }, READ_EVERY);
  }

  #resized() {
    this.#height = this.#box.clientHeight;
    if (this.#low) this.#toEnd();
  }

  #toEnd() {
    this.#box.scrollTop = 1e9; // the browser knows where the end is
  }

  #tabStop() {
    const rows = this.#list;
    let last = rows.lastElementChild;
    while (last && !last.message && !last.classList.contains('pending')) last = last.previousElementSibling;
    if (last === this.#stop) return;
    if (this.#stop) this.#stop.tabIndex = -1;
    if (last) last.tabIndex = 0;
    this.#stop = last;
  }

  #firstVisible() {
    const { top } = this.#box.getBoundingClientRect();
    const rows = this.#list.children;
    return rows[search(rows.length, (i) => rows[i].getBoundingClientRect().bottom > top)];
  }

  /** The seq of the last message whose end is on the screen, 0 if there is none. */
  #lastVisible() {
    const { bottom } = this.#box.getBoundingClientRect();
    const rows = this.#list.children;
    let at = search(rows.length, (i) => rows[i].getBoundingClientRect().bottom > bottom + 1) - 1;
    while (at >= 0 && !rows[at].message) at--;
    return rows[at]?.message.seq ?? 0;
  }
}

/** The first index of n for which a condition holds that holds for all after it; n if for none. */
function search(n, holds) {
  let low = 0;
  while (low < n) {
    const mid = (low + n) >> 1;
    if (holds(mid)) n = mid;
    else low = mid + 1;
  }
  return low;
}

const times = new WeakMap(); // message -> {today, ms}: dates are slow to read

function timeOf(m) {
  let time = times.get(m);
  if (!time) times.set(m, (time = { today: dayOf(m.time), ms: Date.parse(m.time) }));
  return time;
}

const waiting = new WeakMap(); // item of the outbox -> what is drawn of it

function pending(item, user) {
  let m = waiting.get(item);
  if (m?.user !== user) waiting.set(item, (m = { ...item, user, item }));
  return m;
}

function drawLine(node, { was: [kind, text] }) {
  node.className = kind;
  node.replaceChildren(el('span', {}, text));
}
