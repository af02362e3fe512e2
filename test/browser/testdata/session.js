// What happens before, between and instead of connections: where the server is, tokens,
// messages sent early, wires that are dead.
const jwt = (claims) => `x.${btoa(JSON.stringify(claims)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')}.x`;
const memory = () => ({ setItem() {}, getItem: () => null, removeItem() {} });
const hello = async (socket, user = 'ada') => {
  const f = await socket.next('hello');
  await socket.answer(f, { user, limits: {} });
  await socket.answer(await socket.next('rooms'), { rooms: [] });
  return f;
};
const count = (n) => until(() => Socket.all.length === n);
const last = () => Socket.all.at(-1);

// A message sent before the connection, by a user whom only a function knows.
let asked = 0;
let tokens = [jwt({ sub: 'ada' })];
const chat = new Roomtide({ storage: memory(), token: async () => (asked++, tokens.shift() ?? '') });
chat.connect();
chat.join('r');
const early = chat.send('r', 'early');
check('kept', [chat.outbox.of('r').length, early.message], [1, 'early']);
await count(1);
check('the address is beside the module', last().url, `ws://${location.host}/ws`);
check('who it is', chat.user, 'ada');
let s = last();
check('the token', (await hello(s)).token, jwt({ sub: 'ada' }));
await s.answer(await s.next('join'), { rev: 1, seq: 0, role: 'member', messages: [], more: false });
const m = await s.next('message');
check('the early message', [m.message, m.key], ['early', early.key]);
await s.answer(m, { room: 'r', seq: 1, rev: 2, time: '2026-01-01T00:00:00.000Z' });
check('confirmed', chat.outbox.of('r'), []);

// The token ends: another is asked for, and the session goes on.
tokens = [jwt({ sub: 'ada', n: 2 })];
await s.deliver({ type: 'goodbye', code: 4402, reason: 'expired', message: 'the token has expired', retry: 'never' });
s.onclose({ code: 4402 });
check('not stopped', [chat.state, chat.code], ['waiting', 'expired']);
await count(2);
s = last();
check('the new token', (await hello(s)).token, jwt({ sub: 'ada', n: 2 }));
check('asked on each greeting', [asked, chat.state], [2, 'online']);

// A token that is refused is asked for once more, not for ever.
await s.deliver({ type: 'goodbye', code: 4000, reason: 'draining', message: 'the server is restarting', retry: 'now' });
tokens = ['old', 'older', 'oldest'];
s.onclose({ code: 4000 });
for (const n of [3, 4]) {
  await until(() => Socket.all.length === n);
  s = last();
  const f = await s.next('hello');
  await s.deliver({ type: 'error', id: f.id, code: 'unauthenticated', message: 'the token is not valid' });
}
check('stopped', [chat.state, chat.code, chat.reason, asked], ['stopped', 'unauthenticated', 'the token is not valid', 4]);

// The site is down, says nothing, or has another user.
tokens = null; // shift of null throws
chat.connect();
await until(() => chat.state === 'waiting');
check('without an answer of the site', [chat.state, chat.code, Socket.all.length], ['waiting', 'token', 4]);
tokens = [];
chat.retryNow();
await until(() => chat.state === 'stopped');
check('signed out there', [chat.state, chat.code], ['stopped', 'unauthenticated']);
tokens = [jwt({ sub: 'ben' })];
chat.connect();
await until(() => chat.state === 'stopped');
check('another user', [chat.state, chat.code, chat.user, Socket.all.length], ['stopped', 'another_user', 'ada', 4]);

// A guest of another name than the server gives keeps what was written.
const store = {};
const keeping = Object.assign(Object.create({
  setItem(k, v) { this[k] = v; }, getItem(k) { return this[k] ?? null; }, removeItem(k) { delete this[k]; },
}), store);
const guest = new Roomtide({ user: 'cy', storage: keeping });
guest.send('r', 'mine');
guest.connect();
s = last();
await hello(s, 'guest:cy');
check('moved', [guest.outbox.of('r').map((item) => item.message), Object.keys(keeping).map((k) => k.slice(0, 23))], [['mine'], ['roomtide/out/guest%3Acy']]);

// The browser is offline: shown at once. Back online, the connection is too.
const states = [];
guest.addEventListener('state', () => states.push([guest.state, guest.code]));
dispatchEvent(new Event('offline'));
check('offline', states, [['waiting', 'offline']]);
let n = Socket.all.length;
dispatchEvent(new Event('online'));
check('online', [guest.state, Socket.all.length], ['connecting', n + 1]);
s = last();
await hello(s, 'guest:cy');

// After a wake-up the wire is probed; with an answer it stays.
document.dispatchEvent(new Event('visibilitychange'));
await s.answer(await s.next('ping'), {});
check('alive', [guest.state, last() === s], ['online', true]);

// A command has no answer: the wire is probed after seconds, and left seconds later.
const start = Date.now();
guest.request('typing', { room: 'r' }).catch(() => {});
await s.next('ping');
const probed = Date.now() - start;
check('probed in time', probed >= 4_000 && probed < 9_000, true);
await until(() => guest.state !== 'online');
const left = Date.now() - start;
check(`left in time, after ${left} ms`, guest.state !== 'online' && left >= 9_000 && left < 16_000, true);
guest.close();
