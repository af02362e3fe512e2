// The same chat on Socket.IO for Node, for comparison: rooms in memory, nothing
// stored. node node.mjs DIRECTORY-WITH-node_modules PORT
import { createServer } from 'node:http';
import { createRequire } from 'node:module';

const [dir, port] = process.argv.slice(2);
const { Server } = createRequire(`${dir}/`)('socket.io');
const web = createServer();
const io = new Server(web);
const last = new Map(); // number of the last message, by room

io.on('connection', (socket) => {
  const { user } = socket.handshake.auth;
  socket.on('join', ({ room }, ack) => {
    socket.join(room);
    const seq = last.get(room) ?? 0;
    ack({ type: 'ack', room, rev: seq, seq });
  });
  socket.on('message', ({ room, message, key }, ack) => {
    const seq = (last.get(room) ?? 0) + 1;
    last.set(room, seq);
    const time = new Date().toISOString();
    io.to(room).emit('message', { type: 'message', room, seq, rev: seq, user, message, time, key });
    ack({ type: 'ack', room, seq, rev: seq, time });
  });
});

web.listen(Number(port), '127.0.0.1');
