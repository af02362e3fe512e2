/** The two lists beside the messages: the rooms of the user, and the users online in this one. */
import { $, avatar, bdi, el, put, sync, write } from './dom.js';
import { t, whenOf } from './strings.js';

const MOST = 200; // users drawn
const { compare } = new Intl.Collator(undefined, { numeric: true });

/** Where a room lives: a link to this page. */
export const address = (id) => `#room=${encodeURIComponent(id)}`;

/** Draws the rooms; seen: the newest message of the current one is on the screen. Returns the unread messages. */
export function drawRooms(chat, current, seen) {
  const rooms = [...chat.rooms.values()].filter((room) => room === current || (!room.error && room.known));
  if (current && !rooms.includes(current)) rooms.push(current); // put out: it stays as long as it is shown
  rooms.sort((a, b) => b.moved - a.moved || compare(a.name, b.name));
  const items = rooms.map((room) => {
    const here = room === current;
    const unread = here && seen ? 0 : room.unread;
    const waiting = chat.outbox.of(room.id).length;
    const last = room.newest;
    const author = last ? room.authorOf(last) : '';
    const badge = unread > 999 ? '999+' : unread > 0 ? unread + (room.unreadMore ? '+' : '') : '';
    return { id: room.id, room, here, unread, badge, waiting, last, author, was: [room.name, here, badge, waiting, last, author] };
  });
  const list = $('room-list');
  const focused = list.contains(document.activeElement) ? document.activeElement : null;
  sync(list, items, drawRoom);
  const stop = list.rows.get(current?.id) ?? list.firstElementChild;
  for (const node of list.children) put(node.firstChild, 'tabIndex', node === stop ? 0 : -1);
  if (focused && document.activeElement !== focused) focused.focus({ preventScroll: true }); // its row was moved
  return items.reduce((sum, item) => sum + item.unread, 0);
}

/** The room that is shown is in sight in the list. */
export function revealRoom(id) {
  $('room-list').rows?.get(id)?.scrollIntoView({ block: 'nearest' });
}

function drawRoom(node, { room, here, badge, waiting, last, author }) {
  const link = node.firstChild ?? node.appendChild(el('a', { href: address(room.id) }));
  const preview = !last ? [] : last.deleted ? [t('deleted')] : [bdi(author), ': ', bdi(last.message)];
  link.className = badge ? 'unread' : '';
  if (here) link.setAttribute('aria-current', 'page');
  else link.removeAttribute('aria-current');
  link.replaceChildren(
    el('b', {}, bdi(room.name)),
    last ? el('time', {}, whenOf(last.time)) : '',
    el('span', { class: 'preview' }, ...preview),
    waiting > 0 ? el('i', { class: 'badge wait' }, `↑${waiting}`) : '',
    badge && el('i', { class: 'badge' }, badge),
  );
}

export function drawPeople(chat, room, profiles) {
  const people = [...room.online].slice(0, MOST).map((user) => ({ user, name: profiles.nameOf(room, user), picture: profiles.avatarOf(room, user) }));
  people.sort((a, b) => compare(a.name, b.name));
  const items = people.map((p) => ({ id: `u${p.user}`, ...p, was: [p.name, p.picture] }));
  const rest = room.onlineCount - items.length;
  if (rest > 0) items.push({ id: 'rest', was: [rest] });
  write($('count'), (room.degraded ? '≈' : '') + room.onlineCount);
  $('show-people').ariaLabel = `${t('online')}: ${room.onlineCount}`;
  sync($('people-list'), items, (node, item) => {
    if (!item.user) {
      node.replaceChildren(t('andMore', { n: rest }));
      return;
    }
    const you = item.user === chat.user && el('small', {}, ` (${t('you')})`);
    node.replaceChildren(avatar(item.user, item.name, item.picture), el('span', {}, bdi(item.name), you || ''));
  });
}
