// Drives stock clients for tests, in Node and in a browser. Go calls these functions one
// after the other; each returns a JSON value.

// More than the 45 s after which a client of Engine.IO 4 notices a silent connection: a
// client whose WebSocket is cut in the middle of the upgrade has stopped polling and does
// nothing until then.
const patience = 60_000;

// until waits until look returns a value other than undefined and false.
function until(what, look) {
  const end = Date.now() + patience;
  return new Promise((resolve, reject) => {
    const again = () => {
      const v = look();
      if (v !== undefined && v !== false) resolve(v);
      else if (Date.now() > end) reject(new Error(`timed out waiting for ${what()}`));
      else setTimeout(again, 2);
    };
    again();
  });
}

const names = [
  'hello', 'message', 'edited', 'deleted', 'reacted', 'member', 'room', 'presence', 'typing', 'read',
  'gap', 'goodbye', 'error', 'connect', 'connect_error', 'disconnect',
];

// peer holds one client. io is the function of the client's package.
export function peer(io) {
  let socket;
  const received = []; // [name, argument] of events that next has not returned yet

  const next = (name) => until(() => `${name}, received ${JSON.stringify(received)}`, () => {
    const i = received.findIndex((e) => e[0] === name);
    return i >= 0 && received.splice(i, 1)[0];
  }).then((e) => e[1]);

  return {
    // open starts a connection and does not wait for it.
    open(url, options) {
      socket = io.connect(url, { forceNew: true, reconnectionDelay: 20, reconnectionDelayMax: 100, ...options });
      for (const name of names) {
        socket.on(name, (v) => received.push([name, v instanceof Error ? { message: v.message, data: v.data } : v]));
      }
      return true;
    },
    // connect connects again, with other credentials if auth is given.
    connect(auth) {
      if (auth) socket.auth = auth;
      socket.connect();
      return true;
    },
    next,
    // count returns how many events with the name next has not returned yet.
    count: (name) => received.filter((e) => e[0] === name).length,
    // on waits until the client uses the transport.
    on: (name) => until(() => `transport ${name}`, () => socket.io.engine && socket.io.engine.transport.name === name),
    // extensions are those of the WebSocket; older clients keep them in an object.
    extensions() {
      const e = socket.io.engine.transport.ws?.extensions ?? '';
      return typeof e === 'string' ? e : Object.keys(e).join();
    },
    emit(name, argument) {
      socket.emit(name, argument);
      return true;
    },
    request: (name, argument) => new Promise((resolve, reject) => {
      setTimeout(() => reject(new Error(`no ack of ${name}`)), patience);
      socket.emit(name, argument, resolve);
    }),
    close() {
      socket.disconnect();
      return true;
    },
  };
}

// sample runs code of the documentation with another address, and keeps what it prints.
export function sample(io, code, url, token) {
  const printed = [];
  const console = { log: (...list) => printed.push(list.join(' ')) };
  new Function('io', 'console', 'token', code.replace('https://chat.example.org', url))(io, console, token);
  return { printed: (n) => until(() => `${n} lines, printed ${JSON.stringify(printed)}`, () => printed.length >= n && printed) };
}

// resuming runs the samples of "Coming back". Clients without auth say hello.
export function resuming(io, code, url, options, user) {
  const socket = io.connect(url, { forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 60, ...options });
  if (io.protocol < 5) socket.on('connect', () => socket.emit('hello', { user }));
  const applied = [];
  const apply = (e) => applied.push(e);
  const { join, send, unsent, revs } = new Function('socket', 'apply', `${code}\nreturn { join, send, unsent, revs };`)(socket, apply);
  const messages = (room) => applied.filter((e) => e.type === 'message' && e.room === room);
  let connects = 0;
  socket.on('connect', () => connects++);
  return {
    join: (room) => (join(room), true),
    joined: (room) => until(() => 'a join', () => revs.get(room) !== undefined),
    // sendAll sends texts at a steady rate, connected or not, and waits for all acks.
    async sendAll(room, prefix, n, pause) {
      for (let i = 0; i < n; i++) {
        send(room, `${prefix}${i}`);
        await new Promise((done) => setTimeout(done, pause));
      }
      return until(() => 'acks', () => unsent.size === 0);
    },
    has: (room, seq) => until(() => `message ${seq}, have ${messages(room).length}`, () => messages(room).some((m) => m.seq >= seq)),
    applied: (room) => applied.filter((e) => e.room === room).map(({ type, seq, rev, message }) => ({ type, seq, rev, message })),
    connects: () => connects,
    close: () => (socket.disconnect(), true),
  };
}

// backlogged runs the samples of "Coming back" of a client that has written much before
// it is connected.
export function backlogged(io, code, url, options, user, room, texts) {
  const socket = io.connect(url, { forceNew: true, autoConnect: false, reconnectionDelay: 20, ...options });
  if (io.protocol < 5) socket.on('connect', () => socket.emit('hello', { user }));
  const received = [];
  let connects = 0, disconnect, goodbye;
  const { join, send, unsent } = new Function('socket', 'apply', `${code}\nreturn { join, send, unsent };`)(
    socket, (e) => e.type === 'message' && received.push(e.message));
  socket.on('connect', () => connects++);
  socket.on('disconnect', (reason) => { disconnect = reason; });
  socket.on('goodbye', (g) => { goodbye = g; });
  join(room);
  for (const text of texts) send(room, text);
  socket.open();
  return {
    sent: () => until(() => `acks, ${unsent.size} are missing after ${connects} connects`, () => received.length >= texts.length && unsent.size === 0)
      .then(() => ({ received, connects })),
    refused: () => until(() => `the end, after ${connects} connects`, () => disconnect && { reason: disconnect, goodbye: goodbye || {}, connects }),
    close: () => (socket.disconnect(), true),
  };
}

// recovering joins rooms once: reconnecting is left to the client's connection state
// recovery.
export function recovering(io, url, options, rooms) {
  const socket = io.connect(url, { forceNew: true, reconnectionDelay: 10, reconnectionDelayMax: 60, ...options });
  const received = [];
  const connects = { recovered: 0, fresh: 0 };
  let joined = 0;
  for (const room of rooms) socket.emit('join', { room }, () => joined++);
  for (const name of ['message', 'edited', 'deleted']) socket.on(name, (e) => received.push(e));
  socket.on('connect', () => connects[socket.recovered ? 'recovered' : 'fresh']++);
  return {
    joined: () => until(() => 'joins', () => joined === rooms.length),
    has: (n) => until(() => `${n} events, have ${received.length}`, () => received.length >= n),
    received: () => received.map(({ type, room, seq, rev, message }) => ({ type, room, seq, rev, message })),
    connects: () => connects,
    close: () => (socket.disconnect(), true),
  };
}
