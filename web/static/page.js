/** The chat page: which room is shown, and drawing what changed. */
import { $, twice } from './dom.js';
import { t } from './strings.js';
import { Timeline } from './timeline.js';
import { Composer } from './composer.js';
import { address, drawPeople, drawRooms } from './sidebar.js';

const FIRST_ROOM = 'lobby';

export class Page {
  #chat;
  #draw; // asks for a redraw
  #room = null;
  #timeline;
  #composer;
  #quiet = 0; // hides the notice

  constructor(chat, draw) {
    this.#chat = chat;
    this.#draw = draw;
    const fail = (e) => this.#notice(e.code === 'closed' ? t('notConnected') : e.message);
    const ask = { reply: (m) => this.#composer.reply(m), edit: (m) => this.#composer.edit(m), fail };
    this.#timeline = new Timeline(chat, ask, draw);
    this.#composer = new Composer(chat, this.#timeline, fail);
    $('open-room').addEventListener('submit', (e) => this.#openRoom(e));
    $('show-rooms').addEventListener('click', () => this.#drawer('rooms'));
    $('show-people').addEventListener('click', () => this.#drawer('people'));
    $('shade').addEventListener('click', () => this.#drawer(''));
    for (const button of document.querySelectorAll('.close')) button.addEventListener('click', () => this.#drawer(''));
    addEventListener('keydown', (e) => e.key === 'Escape' && this.#drawer(''));
    $('status').querySelector('button').addEventListener('click', () => this.#again());
    twice($('leave'), t('leaveSure'), () => chat.leave(this.#room.id).catch(fail));
    $('signout').addEventListener('click', () => {
      localStorage.removeItem('roomtide.user');
      sessionStorage.removeItem('roomtide.token');
      location.reload();
    });
  }

  /** Shows the room of the address, or the one that was shown last. */
  route() {
    const named = new URLSearchParams(location.hash.slice(1)).get('room');
    const id = named || (localStorage.getItem('roomtide.room') ?? FIRST_ROOM);
    if (!named && id) history.replaceState(null, '', address(id));
    localStorage.setItem('roomtide.room', id);
    this.#drawer('');
    this.#show(id ? this.#chat.join(id) : null);
  }

  roomsChanged() {
    if (this.#room && !this.#chat.rooms.has(this.#room.id)) {
      const next = this.#chat.rooms.keys().next().value ?? '';
      localStorage.setItem('roomtide.room', next);
      location.hash = next ? address(next) : '';
    }
    this.#draw();
  }

  roomChanged(room, frame) {
    if (room === this.#room && frame?.type === 'message' && frame.user !== this.#chat.user) {
      $('live').textContent = `${room.nameOf(frame.user)}: ${frame.message}`;
    }
    this.#draw();
  }

  /** What changes with time alone: stale typing, the countdown to a reconnect. */
  tick() {
    const typing = this.#room?.typing ?? new Map();
    for (const [user, until] of typing) if (until < Date.now()) typing.delete(user);
    this.#drawTyping();
    this.#drawStatus();
  }

  draw() {
    const room = this.#room;
    const unread = drawRooms(this.#chat, room);
    document.title = `${unread ? `(${unread}) ` : ''}${room ? `${room.name} · ` : ''}Roomtide`;
    $('me').textContent = this.#chat.name || this.#chat.user;
    this.#drawStatus();
    for (const id of ['timeline', 'show-people', 'people']) $(id).hidden = !room;
    $('composer').hidden = !room || room.error !== '';
    $('title').textContent = room?.name ?? '';
    if (!room) return;
    const silent = room.readOnly && !room.moderates;
    $('text').disabled = silent;
    $('text').placeholder = t(silent ? 'readOnly' : 'message');
    this.#timeline.draw();
    drawPeople(this.#chat, room);
    this.#drawTyping();
  }

  #show(room) {
    if (room === this.#room) return;
    this.#room = room;
    this.#timeline.show(room);
    this.#composer.show(room);
    this.#draw();
  }

  #openRoom(e) {
    e.preventDefault();
    const id = $('room-name').value.trim();
    $('room-name').value = '';
    if (id) location.hash = address(id);
  }

  /** On small screens the lists are drawers; one at most is open. */
  #drawer(name) {
    for (const id of ['rooms', 'people']) $(id).classList.toggle('out', id === name && !$(id).classList.contains('out'));
    $('shade').hidden = !document.querySelector('.out');
  }

  #again() {
    if (this.#chat.state === 'online') this.#chat.join(this.#room.id);
    else this.#chat.retryNow();
    this.#draw();
  }

  #drawStatus() {
    const { state, reason, retryAt } = this.#chat;
    const [text, button] = $('status').children;
    let words = '';
    if (state === 'waiting') words = t('waiting', { n: Math.max(1, Math.ceil((retryAt - Date.now()) / 1000)) });
    else if (state === 'connecting') words = t('connecting');
    else words = this.#room?.error ?? '';
    if (state !== 'online' && reason) words = `${words} (${reason})`;
    if (text.textContent !== words) text.textContent = words;
    $('status').hidden = !words;
    button.hidden = state === 'connecting';
    $('chat').dataset.state = state;
  }

  #drawTyping() {
    const users = [...(this.#room?.typing.keys() ?? [])].map((user) => this.#room.nameOf(user));
    const [a, b] = users;
    const key = users.length > 2 ? 'typingMany' : `typing${users.length}`;
    const words = a ? t(key, { a, b }) : '';
    if ($('typing').textContent !== words) $('typing').textContent = words;
  }

  #notice(text) {
    $('notice').textContent = text;
    $('notice').hidden = false;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => ($('notice').hidden = true), 5_000);
  }
}
