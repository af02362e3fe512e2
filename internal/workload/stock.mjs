// The stock clients of a workload, which run the samples of docs/protocol/socketio.md. The argument is what
// they need, as JSON. Each line of standard input is a message to send, {"client","room","message","key"}, and
// each line of standard output is what a client saw, {"client","what",...}. A line without a message asks how the client
// stands.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

const { packages, url, code, rooms, users, kind } = JSON.parse(process.argv.at(-1));
const io = createRequire(`${packages}/`)('socket.io-client');

const kinds = [
  { transports: ['websocket'] },
  {}, // polling, and then a WebSocket
  { transports: ['polling'] },
  { transports: ['websocket'], recovery: false },
];

function start(user, client) {
  const tell = (what, more) => process.stdout.write(`${JSON.stringify({ client, what, ...more })}\n`);
  const { recovery, ...options } = kinds[(kind ?? client) % kinds.length];
  const socket = io(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, auth: { user, recovery }, ...options });
  socket.on('connect', () => tell('connect', { recovered: socket.recovered }));
  socket.on('accepted', ({ key }) => tell('accepted', { key }));
  // What ends the library's own attempts to come back.
  socket.on('connect_error', (e) => socket.active || tell('refused', { code: `${e.message} ${e.data?.code}` }));
  socket.on('goodbye', ({ reason, retry }) => retry === 'never' && tell('refused', { code: reason }));
  socket.on('disconnect', (reason) => socket.active || tell('refused', { code: reason }));
  // What the samples are given: the socket, and answers to their messages are told.
  const watched = {
    get connected() { return socket.connected; },
    on: (name, f) => socket.on(name, f),
    emit: (name, argument, callback) => socket.emit(name, argument, (r) => {
      if (name === 'join' && r.type === 'error' && !['rate_limited', 'busy', 'unavailable'].includes(r.code)) tell('join', { code: r.code });
      if (name === 'message') tell(r.type, { key: argument.key, code: r.code, seq: r.seq, rev: r.rev });
      callback(r);
    }),
  };
  // A message that was written and deleted during an absence is known by its deletion alone.
  const apply = ({ type, room, seq, rev, user, message, edited, deleted, reactions }) => (type === 'message' || type === 'deleted')
    && tell('message', { room, seq, rev, user, text: message, edited: !!edited, reacted: !!reactions?.length, deleted: type === 'deleted' || !!deleted });
  const { revs, unsent, post } = new Function('socket', 'apply', `${code}\nreturn { revs, unsent, post };`)(watched, apply);
  for (const room of rooms) revs.set(room, 0); // from the beginning, when it connects
  return (m) => {
    if (!m.key) return tell('stands', { text: standing(socket) });
    unsent.set(m.key, m);
    if (socket.connected) post(m);
  };
}

function standing(socket) {
  const { engine, _readyState: manager, _reconnecting: again } = socket.io;
  const { name: transport, readyState, writable } = engine.transport;
  return JSON.stringify({
    connected: socket.connected, manager, again, engine: engine.readyState, sid: engine.id, upgrading: !!engine.upgrading,
    waiting: engine.writeBuffer.length, transport, readyState, writable, expires: engine._pingTimeoutTime - Date.now(),
  });
}

const send = users.map(start);
for await (const line of createInterface({ input: process.stdin })) {
  const { client, ...m } = JSON.parse(line);
  send[client](m);
}
process.exit();
