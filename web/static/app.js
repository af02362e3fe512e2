/** The entry of the page: sign-in, then the chat. */
import { $, soon } from './dom.js';
import { say, t, translate } from './strings.js';
import { keep, local, session } from './storage.js';
import { Roomtide } from './roomtide.js';
import { Page } from './page.js';
import { Push } from './push.js';

translate(document);
// Both live as long as the tab: two windows can be two users, and a token is a secret.
const user = session.getItem('roomtide.user') ?? '';
const token = session.getItem('roomtide.token') ?? '';
if (user || token) start(user, token);
else signIn('');

/** Asks for a name or a token; refused: why the last ones did not do. */
function signIn(refused) {
  $('chat').hidden = true;
  $('signin').hidden = false;
  $('refused').hidden = !refused;
  $('refused').textContent = refused;
  $('name').value = user || (local.getItem('roomtide.user') ?? '');
  $('name').select();
  $('signin').querySelector('form').onsubmit = (e) => {
    e.preventDefault();
    const name = $('name').value.trim();
    const secret = $('token').value.trim();
    if (!name && !secret) return;
    keep(session, 'roomtide.token', secret);
    keep(session, 'roomtide.user', secret ? '' : name);
    if (!secret) keep(local, 'roomtide.user', name);
    if (refused) location.reload(); // what ran before ends
    else start(name, secret);
  };
}

function start(user, token) {
  $('signin').hidden = true;
  $('chat').hidden = false;
  const chat = new Roomtide(token ? { token } : { user });
  const draw = soon(() => page.draw());
  const push = new Push(chat, 'worker.js');
  const page = new Page(chat, push, !token, draw);
  chat.addEventListener('state', () => {
    if (chat.state === 'stopped') stopped(chat, !token);
    draw();
  });
  chat.addEventListener('rooms', () => page.roomsChanged());
  chat.addEventListener('room', (e) => page.roomChanged(e.room, e.frame));
  addEventListener('hashchange', () => page.route());
  setInterval(() => page.tick(), 1_000);
  page.route();
  chat.connect();
}

function stopped(chat, guest) {
  const off = guest && chat.code === 'unauthenticated';
  if (off) $('signin').querySelector('details').open = true;
  signIn(off ? t('guestsOff') : say('no', chat.code, chat.reason));
}
