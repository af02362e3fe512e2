// sio.mjs PACKAGES URL PATH TOKEN ROOM: joins a room with the stock client over polling
// and WebSocket, then over polling alone, and prints what each receives of its own
// message, and the transport that carries it then.
import { createRequire } from 'node:module';

const [packages, url, path, token, room] = process.argv.slice(2);
const { io } = createRequire(packages + '/')('socket.io-client');

for (const transports of [['polling', 'websocket'], ['polling']]) {
  const socket = io(url, { path, transports, auth: { token }, forceNew: true, reconnection: false });
  const failed = new Promise((_, reject) => {
    for (const name of ['connect_error', 'disconnect', 'error']) {
      socket.on(name, (e) => reject(new Error(`${transports}: ${name}: ${e.message ?? JSON.stringify(e)}`)));
    }
  });
  const next = (emitter, name) => Promise.race([failed, new Promise((resolve) => emitter.once(name, resolve))]);
  await next(socket, 'connect');
  if (transports.length > 1 && socket.io.engine.transport.name !== 'websocket') await next(socket.io.engine, 'upgrade');
  await Promise.race([failed, socket.emitWithAck('join', { room })]);
  const received = next(socket, 'message');
  socket.emit('message', { room, message: 'over ' + transports.join() });
  console.log((await received).message, 'with', socket.io.engine.transport.name);
  socket.off('disconnect');
  socket.disconnect();
}
