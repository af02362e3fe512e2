// A scripted server for the protocol client: it answers frame by frame. Differences are
// collected in wrong, one line each.
const { Roomtide } = await import('/static/roomtide.js');
const wrong = [];
const check = (what, got, want) => {
  const [a, b] = [JSON.stringify(got), JSON.stringify(want)];
  if (a !== b) wrong.push(`${what}: got ${a}, want ${b}`);
};

class Socket {
  static OPEN = 1;
  static all = [];
  readyState = 1;
  sent = [];
  wanted = null; // resolves the pending wait of next
  constructor(url) {
    this.url = url;
    Socket.all.push(this);
    queueMicrotask(() => this.onopen?.());
  }
  send(text) {
    this.sent.push(JSON.parse(text));
    this.wanted?.();
  }
  close() {
    this.readyState = 3;
  }
  // The next command of a type from the client.
  async next(type) {
    const end = Date.now() + 20_000;
    while (Date.now() < end) {
      const at = this.sent.findIndex((f) => f.type === type);
      if (at >= 0) return this.sent.splice(at, 1)[0];
      await new Promise((done) => {
        this.wanted = done;
        setTimeout(done, 100);
      });
    }
    throw new Error(`no ${type} was sent`);
  }
  // Delivers a frame as the browser would, and waits until the client has handled it.
  async deliver(frame) {
    this.onmessage?.({ data: JSON.stringify(frame) });
    await new Promise((done) => setTimeout(done));
  }
  async answer(command, fields) {
    await this.deliver({ type: 'ack', id: command.id, ...fields });
  }
}
const real = globalThis.WebSocket;
globalThis.WebSocket = Socket;

const until = async (condition) => {
  for (const end = Date.now() + 20_000; !condition() && Date.now() < end; ) await new Promise((done) => setTimeout(done, 10));
};
