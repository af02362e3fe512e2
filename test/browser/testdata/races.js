// What happens between a command and its answer.
const memory = { setItem() {}, getItem: () => null, removeItem() {} };
const chat = new Roomtide({ user: 'ada', url: 'ws://nowhere', storage: memory });
const message = (seq, rev, more) => ({ type: 'message', room: 'r', seq, rev, user: 'ben', message: `m${seq}`, time: '2026-01-01T00:00:00.000Z', ...more });

chat.connect();
const room = chat.join('r');
const s = Socket.all.at(-1);
await s.answer(await s.next('hello'), { user: 'ada', limits: {} });
await s.answer(await s.next('rooms'), { rooms: [] });
await s.answer(await s.next('join'), { rev: 9, seq: 9, role: 'member', messages: [7, 8, 9].map((n) => message(n, n)), more: true });

// Changes to loaded messages, behind a question whose answer was read before them and
// replaces the run. One that was read behind them has them already.
const shown = () => room.messages.map((m) => [m.seq, m.message, m.reactions?.map((r) => r.count) ?? []]);
const jump = chat.around('r', 7);
const history = await s.next('history');
await s.deliver({ type: 'deleted', room: 'r', seq: 7, rev: 10, user: 'ben' });
await s.deliver({ ...message(8, 11, { message: 'new' }), type: 'edited' });
await s.deliver({ type: 'reacted', room: 'r', seq: 9, rev: 12, user: 'ben', emoji: '👍', on: true });
await s.deliver({ type: 'reacted', room: 'r', seq: 9, rev: 13, user: 'cy', emoji: '👍', on: true });
await s.deliver(message(10, 14));
await s.deliver({ ...message(10, 15, { message: 'newer' }), type: 'edited' });
const changed = [[7, '', []], [8, 'new', []], [9, 'm9', [2]], [10, 'newer', []]];
check('changed at once', shown(), changed);
const half = { reactions: [{ emoji: '👍', count: 1, users: ['ben'] }] };
await s.answer(history, { messages: [message(6, 6), message(7, 7), message(8, 8), message(9, 12, half)], more: true });
await jump;
check('changed behind an older answer', shown(), [[6, 'm6', []], ...changed]);

// A refused leave: the room goes on with what came meanwhile, also where it was being joined.
const refuse = async (leaving) => {
  const leave = await s.next('leave');
  await s.deliver({ ...message(11, 16), room: leave.room });
  return async () => {
    await s.deliver({ type: 'error', id: leave.id, code: 'busy', message: 'later' });
    check('refused', (await leaving).code, 'busy');
  };
};
await (await refuse(chat.leave('r').catch((e) => e)))();
const again = await s.next('join');
check('after its rev', [again.room, again.after], ['r', 15]);
await s.answer(again, { rev: 16, seq: 11, role: 'member', messages: [message(11, 16)], more: false });
check('nothing is missing', [room.joined, room.rev, room.messages.at(-1).message], [true, 16, 'm11']);
const other = chat.join('other');
const join = await s.next('join');
const refused = await refuse(chat.leave('other').catch((e) => e));
await s.answer(join, { rev: 1, seq: 0, role: 'member', messages: [], more: false });
await refused();
await s.answer(await s.next('join'), { rev: 1, seq: 0, role: 'member', messages: [], more: false });
check('joined all the same', [other.wanted, other.joined], [true, true]);
chat.close();
