/** The actions on a message: one toolbar that moves to the message under the pointer or focus. */
import { el, twice } from './dom.js';
import { t } from './strings.js';

const EMOJI = ['👍', '❤️', '😂', '🎉', '👀'];

export class Actions {
  #chat;
  #ask;
  #bar = el('div', { class: 'actions', role: 'toolbar' });
  #message = null;

  constructor(chat, ask) {
    this.#chat = chat;
    this.#ask = ask;
  }

  show(node, room, m) {
    if (this.#message === m && this.#bar.parentNode === node) return;
    this.#message = m;
    this.#bar.replaceChildren(...this.#buttons(room, m));
    node.append(this.#bar);
  }

  hide() {
    this.#message = null;
    if (!this.#bar.contains(document.activeElement)) this.#bar.remove();
  }

  react(room, m, emoji, on) {
    this.#chat.react(room.id, m.seq, emoji, on).catch(this.#ask.fail);
  }

  *#buttons(room, m) {
    for (const emoji of EMOJI) {
      const mine = m.reactions?.find((r) => r.emoji === emoji)?.users.includes(this.#chat.user);
      yield button(emoji, `${t('react')} ${emoji}`, () => this.react(room, m, emoji, !mine));
    }
    yield button('↩', t('reply'), () => this.#ask.reply(m));
    const own = m.user === this.#chat.user;
    if (own) yield button('✎', t('edit'), () => this.#ask.edit(m));
    if (!own && !room.moderates) return;
    const remove = button('✕', t('delete'));
    twice(remove, t('deleteSure'), () => this.#chat.delete(room.id, m.seq).catch(this.#ask.fail));
    yield remove;
  }
}

function button(text, label, onclick = () => {}) {
  return el('button', { title: label, 'aria-label': label, onclick }, text);
}
