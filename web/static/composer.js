/** Where messages are written: drafts, replies, edits. */
import { $ } from './dom.js';
import { t } from './strings.js';

const touch = matchMedia('(pointer: coarse)');

export class Composer {
  #chat;
  #timeline;
  #fail;
  #room = null;
  #drafts = new Map(); // room id -> text
  #reply = null;
  #edit = null;
  #text = $('text');

  constructor(chat, timeline, fail) {
    this.#chat = chat;
    this.#timeline = timeline;
    this.#fail = fail;
    $('composer').addEventListener('submit', (e) => {
      e.preventDefault();
      this.#submit();
    });
    this.#text.addEventListener('input', () => this.#typed());
    this.#text.addEventListener('keydown', (e) => this.#key(e));
    $('context').querySelector('button').addEventListener('click', () => this.#cancel());
  }

  show(room) {
    this.#cancel();
    if (this.#room) this.#drafts.set(this.#room.id, this.#text.value);
    this.#room = room;
    this.#fill(this.#drafts.get(room?.id) ?? '');
    if (!touch.matches) this.#text.focus();
  }

  reply(m) {
    this.#cancel();
    this.#reply = m;
    this.#context(t('replyingTo', { name: this.#room.nameOf(m.user), text: m.message }));
  }

  edit(m) {
    this.#cancel();
    this.#drafts.set(this.#room.id, this.#text.value);
    this.#edit = m;
    this.#fill(m.message);
    this.#context(t('editing'));
  }

  #context(text) {
    $('context').hidden = false;
    $('context').querySelector('span').textContent = text;
    this.#text.focus();
  }

  #cancel() {
    const edited = this.#edit;
    this.#edit = this.#reply = null;
    $('context').hidden = true;
    if (edited) this.#fill(this.#drafts.get(this.#room.id) ?? '');
  }

  #fill(text) {
    this.#text.value = text;
    this.#measure();
  }

  #typed() {
    this.#measure();
    if (!this.#edit) this.#chat.typing(this.#room.id, this.#text.value.trim() !== '');
  }

  /** Grows with the text and shows when it is too long. */
  #measure() {
    this.#text.style.height = 'auto';
    if (this.#text.value) this.#text.style.height = `${this.#text.scrollHeight}px`;
    const most = this.#chat.limits.message_runes ?? 4000;
    const left = most - [...this.#text.value].length;
    $('left').hidden = left > most / 10;
    $('left').textContent = left;
    $('send').disabled = left < 0 || !this.#text.value.trim();
  }

  #key(e) {
    // While an input method composes (keyCode 229 says so in Safari), Enter is its own.
    if (e.isComposing || e.keyCode === 229) return;
    if (e.key === 'Enter' && !e.shiftKey && !touch.matches) {
      e.preventDefault();
      this.#submit();
    } else if (e.key === 'Escape') {
      this.#cancel();
    } else if (e.key === 'ArrowUp' && !this.#text.value.trim()) {
      const own = this.#room.messages.findLast((m) => m.user === this.#chat.user && !m.deleted);
      if (own) this.edit(own);
      if (own) e.preventDefault();
    }
  }

  #submit() {
    const text = this.#text.value.trim();
    if (!text || $('send').disabled) return;
    if (this.#edit) {
      const { seq, message } = this.#edit;
      if (text === message) this.#cancel();
      else this.#chat.edit(this.#room.id, seq, text).then(() => this.#cancel(), this.#fail);
      return;
    }
    this.#timeline.follow();
    this.#chat.send(this.#room.id, text, this.#reply?.seq);
    this.#chat.typing(this.#room.id, false);
    this.#cancel();
    this.#fill('');
    this.#text.focus();
  }
}
