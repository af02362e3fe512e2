/** The entry of the page: sign-in, then the chat. */
import { $, soon } from './dom.js';
import { translate } from './strings.js';
import { Roomtide } from './roomtide.js';
import { Page } from './page.js';

translate(document);
const user = localStorage.getItem('roomtide.user') ?? '';
const token = sessionStorage.getItem('roomtide.token') ?? '';
if (user || token) start();
else signIn('');

function signIn(refused) {
  $('chat').hidden = true;
  $('signin').hidden = false;
  $('refused').hidden = !refused;
  $('refused').textContent = refused;
  $('name').value = user;
  $('name').focus();
  $('signin').querySelector('form').onsubmit = (e) => {
    e.preventDefault();
    const name = $('name').value.trim();
    const secret = $('token').value.trim();
    if (!name && !secret) return;
    // A token is a secret: it is kept for as long as the tab.
    if (secret) sessionStorage.setItem('roomtide.token', secret);
    else sessionStorage.removeItem('roomtide.token');
    if (!secret) localStorage.setItem('roomtide.user', name);
    location.reload();
  };
}

function start() {
  $('chat').hidden = false;
  const chat = new Roomtide(token ? { token } : { user });
  const draw = soon(() => page.draw());
  const page = new Page(chat, draw);
  chat.addEventListener('state', () => {
    if (chat.state === 'stopped') signIn(chat.reason);
    draw();
  });
  chat.addEventListener('rooms', () => page.roomsChanged());
  chat.addEventListener('room', (e) => page.roomChanged(e.room, e.frame));
  addEventListener('hashchange', () => page.route());
  setInterval(() => page.tick(), 1_000);
  page.route();
  chat.connect();
}
