/** One message of the timeline. */
import { avatar, bdi, el, glyph } from './dom.js';
import { clockOf, momentOf, say, t } from './strings.js';
import { linked, onlyEmoji } from './text.js';

/** How far a message of one's own has come: a clock, one tick, two. */
const PROGRESS = {
  sending: 'M10 1a5 5 0 1 0 .01 0zM10 3.5V6l2 1.5',
  accepted: 'M5 6.5 8.5 10 15 2.5',
  sent: 'M1.5 6.5 5 10l6.5-7.5M9 9l1 1 6.5-7.5',
};

export class Row {
  room = null;

  #chat;
  #actions;
  #reveal;

  /** reveal is called with the seq of a quoted message. */
  constructor(chat, actions, reveal) {
    this.#chat = chat;
    this.#actions = actions;
    this.#reveal = reveal;
  }

  draw = (node, { m, own, follows, quoted, quotedName, name, picture }) => {
    const focused = node.contains(document.activeElement);
    const { item } = m;
    const progress = own && progressOf(m);
    const kinds = { own, follows, pending: item, accepted: item?.accepted, failed: item?.error, emoji: !m.deleted && onlyEmoji(m.message) };
    node.className = ['message', ...Object.keys(kinds).filter((kind) => kinds[kind])].join(' ');
    if (!node.hasAttribute('tabindex')) node.tabIndex = -1;
    node.message = item ? null : m;
    const meta = this.#meta(m);
    node.ariaLabel = `${[name, meta, progress && t(progress)].filter(Boolean).join(', ')}: ${m.deleted ? t('deleted') : m.message}`;
    node.replaceChildren(
      ...(own || follows ? [] : [avatar(m.user, name, picture), el('b', { class: 'author' }, bdi(name))]),
      el(
        'div',
        { class: 'bubble' },
        m.reply_to && this.#quote(m.reply_to, quoted, quotedName),
        m.deleted
          ? el('p', { class: 'gone', 'data-meta': meta }, t('deleted'))
          : el('p', { dir: 'auto', 'data-meta': meta }, ...linked(m.message)),
        el('small', {}, meta, progress && glyph(progress, PROGRESS[progress], t(progress))),
      ),
      item?.error ? this.#failure(item) : m.reactions?.length ? this.#reactions(m) : '',
    );
    if (focused) node.focus({ preventScroll: true });
    else if (node.matches(':hover')) this.point(node);
  };

  /** The pointer or the focus is on a row. */
  point(node) {
    const m = node?.message;
    if (!m || m.deleted) {
      this.#actions.hide();
      return;
    }
    const small = node.querySelector('small');
    if (!small.title) small.title = momentOf(m.time);
    this.#actions.show(node, this.room, m);
  }

  #meta(m) {
    if (m.item?.error) return '';
    return m.edited && !m.deleted ? `${t('edited')} · ${clockOf(m.time)}` : clockOf(m.time);
  }

  #reactions(m) {
    const buttons = m.reactions.map((r) => {
      const mine = r.users.includes(this.#chat.user);
      const names = r.users.slice(0, 20).map((user) => this.room.nameOf(user)).join(', ');
      const press = () => this.#actions.react(this.room, m, r.emoji, !mine);
      return el('button', { class: 'reaction', 'aria-pressed': String(mine), title: names, onclick: press }, `${r.emoji} ${r.count}`);
    });
    return el('div', { class: 'reactions' }, ...buttons);
  }

  #failure(item) {
    return el(
      'div',
      { class: 'failure' },
      t('failed', { why: say('send', item.code, item.error) }),
      el('button', { class: 'quiet', onclick: () => this.#chat.resend(item) }, t('retry')),
      el('button', { class: 'quiet', onclick: () => this.#chat.discard(item) }, t('discard')),
    );
  }

  #quote(seq, quoted, name) {
    const text = quoted ? quoted.message || t('deleted') : t('messageN', { n: seq });
    return el('button', { class: 'quote', onclick: () => this.#reveal(seq) }, name && el('b', {}, bdi(name)), el('span', { dir: 'auto' }, text));
  }
}

function progressOf({ item, deleted }) {
  if (deleted || item?.error) return '';
  if (!item) return 'sent';
  return item.accepted ? 'accepted' : 'sending';
}
