/** The two lists beside the messages: the rooms of the user, and the users online in this one. */
import { $, avatar, el, sync } from './dom.js';
import { t, whenOf } from './strings.js';

const MOST = 200; // users drawn

/** Where a room lives: a link to this page. */
export const address = (id) => `#room=${encodeURIComponent(id)}`;

export function drawRooms(chat, current) {
  const rooms = [...chat.rooms.values()].filter((room) => room === current || !room.error);
  const time = (room) => room.newest?.time ?? '';
  rooms.sort((a, b) => time(b).localeCompare(time(a)) || a.name.localeCompare(b.name));
  const items = rooms.map((room) => {
    const here = room === current;
    const unread = here && !document.hidden ? 0 : room.unread;
    const waiting = chat.outbox?.of(room.id).length ?? 0;
    const last = room.newest;
    return { id: room.id, room, here, unread, waiting, last, was: [room.name, here, unread, waiting, last, room.nameOf(last?.user)] };
  });
  sync($('room-list'), items, drawRoom);
  return items.reduce((sum, item) => sum + item.unread, 0);
}

function drawRoom(node, { room, here, unread, waiting, last }) {
  const text = !last ? '' : last.deleted ? t('deleted') : `${room.nameOf(last.user)}: ${last.message}`;
  node.replaceChildren(
    el(
      'a',
      { href: address(room.id), 'aria-current': here && 'page', class: unread > 0 && 'unread' },
      el('b', {}, room.name),
      last && el('time', {}, whenOf(last.time)),
      el('span', { class: 'preview' }, text),
      waiting > 0 && el('i', { class: 'badge wait' }, `↑${waiting}`),
      unread > 0 && el('i', { class: 'badge' }, unread > 999 ? '999+' : String(unread)),
    ),
  );
}

export function drawPeople(chat, room) {
  const people = [...room.online].slice(0, MOST).map((user) => ({ user, name: room.nameOf(user) }));
  people.sort((a, b) => a.name.localeCompare(b.name));
  const items = people.map(({ user, name }) => ({ id: `u${user}`, user, name, was: [name] }));
  const rest = room.onlineCount - items.length;
  if (rest > 0) items.push({ id: 'rest', was: [rest] });
  $('count').textContent = room.onlineCount;
  sync($('people-list'), items, (node, item) => {
    if (!item.user) {
      node.replaceChildren(t('andMore', { n: rest }));
      return;
    }
    const you = item.user === chat.user && el('small', {}, ` (${t('you')})`);
    node.replaceChildren(avatar(item.user, item.name), el('span', {}, item.name, you));
  });
}
