// Holes, gaps, resets, refusals, the outbox and goodbyes.
const store = new Map();
const storage = { setItem: (k, v) => store.set(k, v), getItem: (k) => store.get(k), removeItem: (k) => store.delete(k) };
const chat = new Roomtide({ user: 'ada', url: 'ws://nowhere', storage });
const connect = async () => {
  const socket = Socket.all.at(-1);
  await socket.answer(await socket.next('hello'), { user: 'ada', limits: {} });
  await socket.answer(await socket.next('rooms'), { rooms: [] });
  return socket;
};
const message = (seq, rev, more) => ({ type: 'message', room: 'r', seq, rev, user: 'ben', message: `m${seq}`, time: '2026-01-01T00:00:00.000Z', ...more });
const seqs = () => chat.rooms.get('r').messages.map((m) => m.seq);

chat.connect();
const room = chat.join('r');
let s = await connect();
let join = await s.next('join');
check('the first join', [join.room, 'after' in join], ['r', false]);
await s.answer(join, { rev: 10, seq: 6, role: 'member', messages: [message(5, 9), message(6, 10)], more: true, unread: 1 });
check('after the join', [seqs(), room.rev, room.unread, room.joined, room.more], [[5, 6], 10, 1, true, true]);

// Events: the next rev is applied, an older one is ignored, a later one is a hole.
await s.deliver(message(7, 11));
await s.deliver(message(7, 11));
check('a doubled event', [seqs(), room.rev, room.unread], [[5, 6, 7], 11, 2]);
await s.deliver({ type: 'reacted', room: 'r', seq: 7, rev: 12, user: 'ben', emoji: '👍', on: true });
await s.deliver({ ...message(7, 13, { message: 'new' }), type: 'edited' });
check('an edit keeps reactions', [room.find(7).message, room.find(7).reactions], ['new', [{ emoji: '👍', count: 1, users: ['ben'] }]]);
await s.deliver(message(9, 15));
join = await s.next('join');
check('a hole', [join.after, room.joined, seqs()], [13, false, [5, 6, 7]]);
await s.answer(join, { rev: 14, seq: 9, role: 'member', messages: [message(8, 14), message(2, 14)], more: true });
check('the first page', [seqs(), room.rev, room.joined], [[5, 6, 7, 8], 14, false]);
join = await s.next('join');
check('the second page is asked for', join.after, 14);
await s.answer(join, { rev: 15, seq: 9, role: 'member', messages: [message(9, 15)], more: false });
check('complete again', [seqs(), room.rev, room.joined, room.more], [[5, 6, 7, 8, 9], 15, true, true]);

await s.deliver({ type: 'gap', room: 'r', rev: 15 });
join = await s.next('join');
check('a gap', [join.after, room.joined], [15, false]);
await s.answer(join, { rev: 3, seq: 2, role: 'member', messages: [message(2, 3)], more: false, reset: true });
check('a reset', [seqs(), room.rev, room.seq, room.joined], [[2], 3, 2, true]);

// The outbox: in order, the same key again after "busy" and after a new connection.
chat.send('r', 'one');
chat.send('r', 'two');
let m = await s.next('message');
const { key } = m;
check('one at a time', [m.message, s.sent.filter((f) => f.type === 'message').length], ['one', 0]);
check('a UUIDv7', /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(key), true);
await s.deliver({ type: 'error', id: m.id, code: 'busy', message: 'later', retry_after: 20 });
m = await s.next('message');
check('tried again', [m.message, m.key], ['one', key]);
await s.deliver({ type: 'goodbye', code: 4000, reason: 'draining', message: 'the server is restarting', retry: 'now' });
s.onclose({ code: 4000 });
check('waiting', [chat.state, chat.reason, chat.retryAt - Date.now() <= 500], ['waiting', 'the server is restarting', true]);
await until(() => Socket.all.length === 2);
s = await connect();
join = await s.next('join');
check('resumed', join.after, 3);
await s.answer(join, { rev: 4, seq: 3, role: 'member', messages: [message(3, 4, { user: 'ada', message: 'one', key })], more: false });
m = await s.next('message');
check('what had arrived is not sent again', m.message, 'two');
await s.deliver({ type: 'error', id: m.id, code: 'forbidden', message: 'you may not' });
check('failed for good', chat.outbox.of('r').map((item) => [item.message, item.error]), [['two', 'you may not']]);
chat.resend(chat.outbox.of('r')[0]);
const again = await s.next('message');
check('sent again with its key', again.key, m.key);
await s.answer(again, { room: 'r', seq: 4, rev: 5, time: '2026-01-01T00:00:01.000Z' });
await s.deliver(message(4, 5, { user: 'ada', message: 'two', key: m.key }));
check('confirmed once', [seqs(), chat.outbox.of('r').length, store.size, room.rev], [[2, 3, 4], 0, 0, 5]);

// What the durable queue has lets the next one go; a new connection sends all of them again,
// in order, and one that was accepted may still be refused.
const outbox = () => chat.outbox.of('r').map((item) => [item.message, item.accepted, item.code]);
for (const text of ['three', 'four', 'five']) chat.send('r', text);
const three = await s.next('message');
check('waits', s.sent.filter((f) => f.type === 'message').length, 0);
await s.deliver({ type: 'accepted', id: three.id, key: three.key });
const four = await s.next('message');
check('accepted', [four.message, outbox()], ['four', [['three', true, undefined], ['four', undefined, undefined], ['five', undefined, undefined]]]);
check('kept as accepted', JSON.parse(store.get(`roomtide/out/ada/${three.key}`)).accepted, true);
await s.deliver({ type: 'accepted', id: four.id, key: four.key });
await s.next('message');
await s.deliver({ type: 'error', id: four.id, code: 'forbidden', message: 'you may not' });
await s.deliver({ type: 'accepted', id: four.id, key: four.key }); // behind the answer it means nothing
check('refused all the same', outbox()[1], ['four', undefined, 'forbidden']);
chat.discard(chat.outbox.of('r')[1]);
await s.deliver({ type: 'goodbye', code: 4000, reason: 'draining', message: 'the server is restarting', retry: 'now' });
s.onclose({ code: 4000 });
const before = Socket.all.length;
await until(() => Socket.all.length > before);
s = await connect();
await s.answer(await s.next('join'), { rev: 5, seq: 4, role: 'member', messages: [], more: false });
for (const [i, text] of ['three', 'five'].entries()) {
  m = await s.next('message');
  check('sent again in order', [m.message, i || m.key === three.key], [text, i || true]);
  await s.answer(m, { room: 'r', seq: 5 + i, rev: 6 + i, time: '2026-01-01T00:00:02.000Z' });
}
check('all stored', [outbox(), store.size], [[], 0]);

// The end of a membership stands for all of the room: what was left out before it is not
// asked for, and a join that is under way changes nothing.
const out = chat.join('out');
await s.answer(await s.next('join'), { rev: 3, seq: 0, role: 'member', messages: [] });
await s.deliver({ type: 'member', room: 'out', since: 0, rev: 9, user: 'ada', role: 'none' });
check('put out behind a hole', [out.code, out.joined, chat.rooms.has('out'), s.sent.filter((f) => f.type === 'join').length], ['removed', false, false, 0]);
const early = chat.join('early');
join = await s.next('join');
await s.deliver({ type: 'member', room: 'early', since: 0, rev: 9, user: 'ada', role: 'banned' });
await s.deliver({ type: 'error', id: join.id, code: 'forbidden', message: 'you are banned from this room' });
check('put out while joining', [early.joined, early.wanted, early.error], [false, false, 'you are banned from this room']);

// A room that was left stays left, although the page still calls its methods.
chat.join('left');
await s.answer(await s.next('join'), { rev: 1, seq: 1, role: 'member', messages: [], more: true });
const leaving = chat.leave('left');
await s.answer(await s.next('leave'), { room: 'left' });
await leaving;
await Promise.all([chat.read('left'), chat.older('left')]);
check('left', [...chat.rooms.keys()], ['r']);

// Goodbyes: later reconnects after a pause, never does not reconnect.
await s.deliver({ type: 'goodbye', code: 4201, reason: 'flood', message: 'far too many commands', retry: 'later' });
s.onclose({ code: 4201 });
check('later', chat.state, 'waiting');
chat.retryNow();
s = await connect();
await s.deliver({ type: 'goodbye', code: 4403, reason: 'revoked', message: 'ended by an administrator', retry: 'never' });
s.onclose({ code: 4403 });
check('never', [chat.state, chat.reason], ['stopped', 'ended by an administrator']);

chat.connect();
s = Socket.all.at(-1);
const hello = await s.next('hello');
await s.deliver({ type: 'error', id: hello.id, code: 'unauthenticated', message: 'a token is needed' });
check('a refused hello', [chat.state, chat.reason], ['stopped', 'a token is needed']);
