/** The chat page: which room is shown, and drawing what changed. */
import { $, arrows, paced, put, twice, write } from './dom.js';
import { say, t, words } from './strings.js';
import { keep, local, session } from './storage.js';
import { Timeline } from './timeline.js';
import { Profiles } from './profiles.js';
import { Composer } from './composer.js';
import { Drawers } from './drawers.js';
import { address, drawPeople, drawRooms, revealRoom } from './sidebar.js';

const FIRST_ROOM = 'lobby'; // of guests
const LISTS_EVERY = 200; // milliseconds
const ANNOUNCE_EVERY = 500;
const AGAIN = new Set(['busy', 'rate_limited', 'unavailable', 'read_only', 'internal', 'removed']);

export class Page {
  #chat;
  #push;
  #guest;
  #draw; // asks for a redraw
  #room = null;
  #asked = ''; // a room that the user may join, if so wished
  #profiles;
  #timeline;
  #composer;
  #drawers = new Drawers();
  #lists = paced(LISTS_EVERY, () => this.#drawLists());
  #quiet = 0; // hides the notice
  #closed = new Map(); // room id -> up to where notifications were closed
  #heard = null; // the newest message by others, not announced yet

  constructor(chat, push, guest, draw) {
    this.#chat = chat;
    this.#push = push;
    this.#guest = guest;
    this.#draw = draw;
    this.#profiles = new Profiles(chat, draw);
    const fail = (e) => this.#notice(say('act', e.code, e.message));
    const ask = { reply: (m) => this.#composer.reply(m), edit: (m) => this.#composer.edit(m), fail };
    this.#timeline = new Timeline(chat, this.#profiles, ask, draw);
    this.#composer = new Composer(chat, this.#timeline, fail, (text) => this.#notice(text));
    $('room-name').placeholder = $('room-name').ariaLabel = t(guest ? 'openRoom' : 'joinRoom');
    $('open-room').addEventListener('submit', (e) => this.#openRoom(e));
    $('skip').addEventListener('click', () => $('timeline').focus());
    $('ask-join').addEventListener('click', () => this.#enter(this.#asked));
    $('ask-cancel').addEventListener('click', () => this.#goTo(this.#next()));
    $('status').querySelector('button').addEventListener('click', () => this.#again());
    arrows($('room-list'), 'a');
    twice($('leave'), t('leaveSure'), () => chat.leave(this.#room.id).catch(fail));
    this.#offerPush();
    $('signout').addEventListener('click', async () => {
      await push.off().catch(() => {}); // whoever comes next takes the device over
      keep(local, 'roomtide.user', '');
      keep(session, 'roomtide.user', '');
      keep(session, 'roomtide.token', '');
      location.reload();
    });
  }

  /** Offers notifications when the user has written something, and opens the room of one that is clicked. */
  #offerPush() {
    const [on, never] = $('ask-push').querySelectorAll('button');
    const end = () => put($('ask-push'), 'hidden', true);
    $('composer').addEventListener('submit', () => put($('ask-push'), 'hidden', !this.#push.askable));
    on.addEventListener('click', () => {
      end();
      this.#push.on().catch(() => this.#notice(t('pushFailed')));
    });
    never.addEventListener('click', () => {
      end();
      this.#push.never();
    });
    navigator.serviceWorker?.addEventListener('message', (e) => {
      if (e.data?.type === 'open') this.#goTo(e.data.room);
    });
  }

  /** Shows the room of the address, or the one that was shown last. A room that the user is not in is asked for. */
  route() {
    const named = new URLSearchParams(location.hash.slice(1)).get('room') ?? '';
    const last = local.getItem(this.#lastPlace()) ?? (this.#guest ? FIRST_ROOM : '');
    const id = named || last || this.#next();
    this.#drawers.show('');
    this.#asked = '';
    if (!id) this.#show(null);
    else if (id === last || this.#chat.rooms.get(id)?.known || id === this.#room?.id || (this.#guest && id === FIRST_ROOM)) this.#enter(id);
    else {
      this.#asked = id; // once the rooms of the user are known
      this.#show(null);
    }
  }

  roomsChanged() {
    const room = this.#room;
    this.#leavePlace();
    if (!room) this.route();
    else if (!this.#chat.rooms.has(room.id) && !room.code) this.#goTo(this.#next());
    this.#draw();
  }

  roomChanged(room, frame) {
    if (room === this.#room && frame?.type === 'message' && frame.user !== this.#chat.user) this.#heard = frame;
    if (room.read > (this.#closed.get(room.id) ?? 0)) {
      this.#closed.set(room.id, room.read);
      this.#push.close(room.id, room.read).catch(() => {}); // they stay until they are clicked
    }
    this.#leavePlace();
    this.#draw();
  }

  /** A room that the user was put out of, or may not join, is not remembered: a reload asks before it joins. */
  #leavePlace() {
    const code = this.#room?.code;
    if (code === 'removed' || (code && !AGAIN.has(code))) keep(local, this.#lastPlace(), '');
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
    this.#drawStatus();
    put($('timeline'), 'hidden', !room);
    put($('composer'), 'hidden', !room || room.error !== '');
    this.#drawAsk();
    if (room) {
      const silent = !room.writable;
      put($('text'), 'disabled', silent);
      put($('text'), 'placeholder', t(!silent ? 'message' : room.role === 'muted' ? 'muted' : room.readOnly ? 'readOnly' : 'silent'));
      this.#drawTyping();
    }
    this.#lists();
    this.#announce();
    this.#timeline.draw(); // reads the layout, which nothing changes after it
  }

  /** Tells users of screen readers the newest message by others, at a pace that can be listened to. */
  #announce = paced(ANNOUNCE_EVERY, () => {
    if (this.#heard) $('live').textContent = `${this.#room?.authorOf(this.#heard)}: ${this.#heard.message}`;
    this.#heard = null;
  });

  #drawLists() {
    const room = this.#room;
    const unread = drawRooms(this.#chat, room, this.#timeline.atEnd);
    put(document, 'title', `${unread ? `(${unread}) ` : ''}${room ? `${room.name} · ` : ''}Roomtide`);
    write($('me'), this.#chat.name || this.#chat.user);
    write($('title'), room?.name ?? '');
    for (const id of ['show-people', 'people']) put($(id), 'hidden', !room || !!room.error);
    put($('leave'), 'hidden', !room?.present);
    if (room) drawPeople(this.#chat, room, this.#profiles);
  }

  /** Instead of the messages: whether to join a room, or what to do without one. */
  #drawAsk() {
    const { listed } = this.#chat;
    put($('ask'), 'hidden', !listed || !!this.#room);
    put($('ask-join'), 'hidden', !this.#asked);
    put($('ask-cancel'), 'hidden', !this.#asked || this.#chat.rooms.size === 0);
    if (this.#asked) write($('ask-text'), ...words(this.#guest ? 'askMake' : 'askRoom', { room: this.#asked }));
    else write($('ask-text'), t('noRoom'));
  }

  #lastPlace() {
    return `roomtide/room/${encodeURIComponent(this.#chat.user)}`;
  }

  /** The room to show when none is named: the one with the newest message. */
  #next() {
    const rooms = [...this.#chat.rooms.values()].filter((room) => room.known && !room.error);
    rooms.sort((a, b) => b.moved - a.moved);
    return rooms[0]?.id ?? '';
  }

  #goTo(id) {
    keep(local, this.#lastPlace(), id);
    if (location.hash !== address(id)) location.hash = id ? address(id) : '';
    else this.route();
  }

  #enter(id) {
    this.#asked = '';
    keep(local, this.#lastPlace(), id);
    if (location.hash !== address(id)) history.replaceState(null, '', address(id));
    this.#show(this.#chat.join(id));
  }

  #show(room) {
    if (room !== this.#room) {
      this.#room = room;
      this.#timeline.show(room);
      this.#composer.show(room);
      this.#drawLists();
      revealRoom(room?.id);
    }
    this.#draw();
  }

  #openRoom(e) {
    e.preventDefault();
    const id = $('room-name').value.trim();
    $('room-name').value = '';
    if (!id) return;
    if (location.hash !== address(id)) location.hash = address(id);
    else this.route();
  }

  #again() {
    if (this.#chat.state === 'online') this.#enter(this.#room.id);
    else this.#chat.retryNow();
    this.#draw();
  }

  #drawStatus() {
    const { state, reason, code, retryAt } = this.#chat;
    const room = this.#room;
    const [text, button] = $('status').children;
    let line = '';
    if (code === 'offline' && state !== 'online') line = t('offline');
    else if (state === 'waiting') line = t('waiting', { n: Math.max(1, Math.ceil((retryAt - Date.now()) / 1000)) });
    else if (state === 'connecting') line = t('connecting');
    else if (room?.error) line = say('join', /banned/.test(room.error) ? 'banned' : room.code, room.error);
    if (state !== 'online' && reason && code !== 'offline') line += ` (${say('no', code, reason)})`;
    write(text, line);
    put($('status'), 'hidden', !line);
    put(button, 'hidden', state === 'connecting' || (state === 'online' && !AGAIN.has(room?.code)));
    write(button, t(room?.code === 'removed' && state === 'online' ? 'rejoin' : 'tryNow'));
    if ($('chat').dataset.state !== state) $('chat').dataset.state = state;
  }

  #drawTyping() {
    const users = [...(this.#room?.typing.keys() ?? [])].map((user) => this.#room.nameOf(user));
    const [a, b] = users;
    const key = users.length > 2 ? 'typingMany' : `typing${users.length}`;
    write($('typing'), ...(a ? words(key, { a, b }) : []));
  }

  #notice(text) {
    $('notice').textContent = text;
    $('notice').hidden = false;
    clearTimeout(this.#quiet);
    this.#quiet = setTimeout(() => ($('notice').hidden = true), 5_000);
  }
}
