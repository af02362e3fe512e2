/** Where messages are written: drafts, replies, edits. */
import { $, put, write } from './dom.js';
import { t, words } from './strings.js';
import { keep, local } from './storage.js';

const touch = matchMedia('(pointer: coarse)');

export class Composer {
  #chat;
  #timeline;
  #fail;
  #notice;
  #room = null;
  #reply = null;
  #edit = null;
  #over = 0; // characters too many
  #text = $('text');

  constructor(chat, timeline, fail, notice) {
    this.#chat = chat;
    this.#timeline = timeline;
    this.#fail = fail;
    this.#notice = notice;
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
    this.#room = room;
    this.#fill(this.#draft);
    if (!touch.matches) this.#text.focus();
  }

  reply(m) {
    this.#cancel();
    this.#reply = m;
    this.#context('replyingTo', { name: this.#room.authorOf(m), text: m.message });
  }

  edit(m) {
    this.#cancel();
    this.#edit = { ...m }; // the same message may be edited twice
    this.#fill(m.message);
    this.#context('editing', {});
  }

  #context(key, vars) {
    $('context').hidden = false;
    write($('context').querySelector('span'), ...words(key, vars));
    this.#text.focus();
  }

  #cancel() {
    const edited = this.#edit;
    this.#edit = this.#reply = null;
    $('context').hidden = true;
    if (edited) this.#fill(this.#draft);
  }

  #fill(text) {
    this.#text.value = text;
    this.#measure();
  }

  /** What is written and not sent, kept for each room. */
  get #draft() {
    return (this.#room && local.getItem(this.#place())) ?? '';
  }

  #place() {
    return `roomtide/draft/${encodeURIComponent(this.#chat.user)}/${this.#room.id}`;
  }

  #typed() {
    this.#measure();
    if (this.#edit) return;
    keep(local, this.#place(), this.#text.value.trim() && this.#text.value);
    this.#chat.typing(this.#room.id, this.#text.value.trim() !== '');
  }

  /** Grows with the text and shows when it is too long. */
  #measure() {
    this.#text.style.height = 'auto';
    if (this.#text.value) this.#text.style.height = `${this.#text.scrollHeight}px`;
    const most = this.#chat.limits.message_runes ?? 4000;
    const left = most - [...this.#text.value.trim()].length;
    this.#over = Math.max(0, -left);
    put($('left'), 'hidden', left > most / 10);
    put($('left'), 'className', this.#over ? 'sure' : '');
    write($('left'), String(left));
    put($('send'), 'disabled', !this.#text.value.trim());
  }

  #key(e) {
    // While an input method composes (keyCode 229 says so in Safari), Enter is its own.
    if (e.isComposing || e.keyCode === 229) return;
    if (e.key === 'Enter' && !e.shiftKey && !touch.matches) {
      e.preventDefault();
      $('composer').requestSubmit(); // the page listens too
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
    if (!text) return;
    if (this.#over) {
      this.#notice(t('tooLong', { n: this.#over }));
      return;
    }
    if (this.#edit) {
      const edit = this.#edit;
      const done = () => this.#edit === edit && this.#cancel(); // another edit or a reply may have begun
      if (text === edit.message) done();
      else this.#chat.edit(this.#room.id, edit.seq, text).then(done, this.#fail);
      return;
    }
    this.#chat.send(this.#room.id, text, this.#reply?.seq);
    this.#timeline.follow();
    this.#chat.typing(this.#room.id, false);
    keep(local, this.#place(), '');
    this.#cancel();
    this.#fill('');
    this.#text.focus();
  }
}
