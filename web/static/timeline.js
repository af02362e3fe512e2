/** The messages of the room that is shown. */
import { $, avatar, el, linked, sync } from './dom.js';
import { clockOf, dateOf, dayOf, momentOf, t } from './strings.js';
import { Actions } from './actions.js';

const AT_BOTTOM = 60; // pixels that still count as the end
const LOAD_ABOVE = 400; // pixels from the top where older messages are fetched
const KEEP = 300; // messages kept while the reader is at the end
const READ_EVERY = 1_000;
const GROUP = 5 * 60_000; // a sender's messages closer than this stand together

export class Timeline {
  #chat;
  #actions;
  #room = null;
  #newFrom = 0; // the first seq that was unread when the room was opened; 0: not known yet
  #low = true; // the reader is at the end and stays there
  #reading = 0;
  #quotes = new Map(); // seq -> message, null: gone or on its way
  #draw; // asks for a redraw
  #box = $('timeline');
  #list = $('messages');

  /** ask is called with the action on a message: reply, edit, fail. */
  constructor(chat, ask, draw) {
    this.#chat = chat;
    this.#draw = draw;
    this.#actions = new Actions(chat, ask);
    this.#box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.#box.addEventListener('keydown', (e) => this.#move(e));
    new ResizeObserver(() => this.#low && this.#toEnd()).observe(this.#box);
    for (const type of ['pointerover', 'focusin', 'click']) {
      this.#list.addEventListener(type, (e) => this.#point(e.target.closest('.message')));
    }
    this.#list.addEventListener('pointerleave', () => this.#actions.hide());
    $('jump').addEventListener('click', () => {
      this.#low = true;
      this.draw();
    });
    document.addEventListener('visibilitychange', () => {
      if (document.hidden && this.#room) this.#newFrom = this.#room.seq + 1;
      else this.#draw();
    });
  }

  show(room) {
    this.#room = room;
    this.#low = true;
    this.#newFrom = 0;
    this.#quotes.clear();
    this.#list.replaceChildren();
  }

  /** The user has sent a message: scrolls to it. */
  follow() {
    this.#low = true;
    this.#newFrom = Infinity;
  }

  draw() {
    const room = this.#room;
    if (!room) return;
    if (this.#low) room.trim(KEEP);
    if (!this.#newFrom && room.joined) this.#newFrom = room.unread ? room.read + 1 : Infinity;
    const anchor = this.#low ? null : this.#firstVisible();
    const before = anchor?.getBoundingClientRect().bottom;
    sync(this.#list, this.#items(room), (node, item) => item.draw(node, item));
    if (this.#low) this.#toEnd();
    else if (anchor?.isConnected) this.#box.scrollTop += anchor.getBoundingClientRect().bottom - before;
    for (const node of this.#list.querySelectorAll('.message[tabindex="0"]')) node.tabIndex = -1;
    const last = [...this.#list.querySelectorAll('.message')].at(-1);
    if (last) last.tabIndex = 0;
    this.#scrolled();
  }

  #items(room) {
    const items = [];
    const line = (id, kind, text) => items.push({ id, was: [kind, text], draw: drawLine });
    if (room.more) line('top', 'note', t('loading'));
    else if (room.rev) line('top', 'note', t('beginning', { room: room.name }));
    let day = 0;
    let previous = null;
    let marked = false;
    const me = this.#chat.user;
    const waiting = (this.#chat.outbox?.of(room.id) ?? []).map((item) => ({ ...item, user: me, item }));
    for (const m of [...room.messages, ...waiting]) {
      const own = m.user === me;
      if (dayOf(m.time) > day) {
        day = dayOf(m.time);
        line(`day${day}`, 'day', dateOf(m.time));
        previous = null;
      }
      if (!marked && !own && this.#newFrom && m.seq >= this.#newFrom) {
        marked = true;
        line('new', 'new', t('newHere'));
        previous = null;
      }
      const follows = previous?.user === m.user && new Date(m.time) - new Date(previous.time) < GROUP;
      const quoted = m.reply_to ? this.#quote(room, m.reply_to) : undefined;
      const name = room.nameOf(m.user);
      const was = [m.item ?? m, follows, name, quoted, own];
      items.push({ id: own && m.key ? m.key : m.seq, m, own, follows, quoted, name, was, draw: this.#message });
      previous = m;
    }
    this.#seen(room, previous, line);
    return items;
  }

  /** Under the user's own newest message: the users that have read it. */
  #seen(room, last, line) {
    if (!last?.seq || last.user !== this.#chat.user) return;
    const users = [...room.marks.keys()].filter((user) => room.marks.get(user) >= last.seq);
    const names = users.slice(0, 5).map((user) => room.nameOf(user)).join(', ');
    if (users.length) line('seen', 'seen', t('seenBy', { names: users.length > 5 ? `${names} +${users.length - 5}` : names }));
  }

  #message = (node, { m, own, follows, quoted, name }) => {
    const focused = node.contains(document.activeElement);
    const { item } = m;
    node.className = `message${own ? ' own' : ''}${follows ? ' follows' : ''}${item ? ' pending' : ''}${item?.error ? ' failed' : ''}`;
    if (!node.hasAttribute('tabindex')) node.tabIndex = -1;
    node.message = item ? null : m;
    node.replaceChildren(
      ...(own || follows ? [] : [avatar(m.user, name), el('b', { class: 'author' }, name)]),
      el(
        'div',
        { class: 'bubble' },
        m.reply_to && this.#quoteButton(m.reply_to, quoted),
        m.deleted ? el('p', { class: 'gone' }, t('deleted')) : el('p', { dir: 'auto' }, ...linked(m.message)),
        el('small', { title: momentOf(m.time) }, this.#meta(m)),
      ),
      item?.error ? this.#failure(item) : this.#reactions(m),
    );
    if (focused) node.focus({ preventScroll: true });
    else if (node.matches(':hover')) this.#point(node);
  };

  #meta(m) {
    if (m.item) return m.item.error ? '' : t('sending');
    return m.edited && !m.deleted ? `${t('edited')} · ${clockOf(m.time)}` : clockOf(m.time);
  }

  #reactions(m) {
    const me = this.#chat.user;
    const buttons = (m.reactions ?? []).map((r) => {
      const mine = r.users.includes(me);
      const names = r.users.slice(0, 20).map((user) => this.#room.nameOf(user)).join(', ');
      const press = () => this.#actions.react(this.#room, m, r.emoji, !mine);
      return el('button', { class: 'reaction', 'aria-pressed': String(mine), title: names, onclick: press }, `${r.emoji} ${r.count}`);
    });
    return el('div', { class: 'reactions' }, ...buttons);
  }

  #failure(item) {
    return el(
      'div',
      { class: 'failure' },
      t('failed', { why: item.error }),
      el('button', { class: 'quiet', onclick: () => this.#chat.resend(item) }, t('retry')),
      el('button', { class: 'quiet', onclick: () => this.#chat.discard(item) }, t('discard')),
    );
  }

  #quoteButton(seq, quoted) {
    const text = quoted ? quoted.message || t('deleted') : t('messageN', { n: seq });
    const author = quoted && el('b', {}, this.#room.nameOf(quoted.user));
    return el('button', { class: 'quote', onclick: () => this.#reveal(seq) }, author ?? '', el('span', {}, text));
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

  #reveal(seq) {
    const node = [...this.#list.children].find((node) => node.message?.seq === seq);
    node?.scrollIntoView({ block: 'center' });
    node?.focus({ preventScroll: true });
  }

  /** Up and down move the focus from message to message. */
  #move(e) {
    const by = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    const from = e.target.closest('.message');
    if (!by || !from) return;
    const all = [...this.#list.querySelectorAll('.message')];
    const to = all[all.indexOf(from) + by];
    if (to) to.focus();
    else if (by > 0) $('text').focus();
    e.preventDefault();
  }

  #point(node) {
    if (node?.message && !node.message.deleted) this.#actions.show(node, this.#room, node.message);
    else this.#actions.hide();
  }

  #scrolled() {
    const box = this.#box;
    const room = this.#room;
    this.#low = box.scrollHeight - box.scrollTop - box.clientHeight < AT_BOTTOM;
    $('jump').hidden = this.#low;
    if (!room) return;
    $('jump').textContent = room.unread ? t('newBelow', { n: room.unread }) : t('newest');
    if (box.scrollTop < LOAD_ABOVE) this.#chat.older(room.id).catch(() => {}); // the next scroll asks again
    if (this.#low && !document.hidden && room.joined && room.seq > room.read) this.#read(room);
  }

  /** Marks the room as read, now or when the last mark is a while ago. */
  #read(room) {
    if (this.#reading) return;
    this.#chat.read(room.id);
    this.#reading = setTimeout(() => {
      this.#reading = 0;
      this.#draw();
    }, READ_EVERY);
  }

  #toEnd() {
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  #firstVisible() {
    const top = this.#box.getBoundingClientRect().top;
    return [...this.#list.querySelectorAll('.message')].find((node) => node.getBoundingClientRect().bottom > top);
  }
}

function drawLine(node, { was: [kind, text] }) {
  node.className = kind;
  node.replaceChildren(el('span', {}, text));
}
