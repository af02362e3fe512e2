const RETRYABLE = new Set(['rate_limited', 'busy', 'unavailable', 'read_only']);
const PING_AFTER = 25_000; // silence after which a ping is sent
const PONG_WITHIN = 10_000;
const STEADY = 10_000; // online for so long, a connection resets the backoff

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** The error of a command; code "closed": the connection ended before the reply. */
export class RoomtideError extends Error {
  constructor(frame) {
    super(frame.message);
    this.code = frame.code;
    this.retryAfter = frame.retry_after;
  }
}

/**
 * A WebSocket that reconnects by itself: commands and their replies, pings, and
 * the pauses between attempts. The class that extends this one has the protocol:
 * its greet() sends hello on every new connection, and welcome() or turnedAway() is
 * called with the result; hear(frame) gets all frames but replies and goodbyes;
 * away() is called when the connection has ended.
 *
 * Events: `state` (see state and reason).
 */
export class Connection extends EventTarget {
  state = 'stopped'; // 'connecting' | 'online' | 'waiting' (reconnects at retryAt) | 'stopped'
  reason = ''; // the reason for waiting or stopped, as a text for the user
  retryAt = 0;

  #url;
  #ws = null;
  #bye = null;
  #tries = 0;
  #timer = 0; // the next attempt
  #ticker = 0; // sends pings and detects silence
  #openedAt = 0;
  #heardAt = 0;
  #pingAt = 0;
  #lastID = 0;
  #waiting = new Map(); // command id -> {resolve, reject}
  #wake = () => document.hidden || this.retryNow();
  #hide = () => this.#lost(4000); // the page may be restored from the browser's cache

  /** @param {string=} url ws beside this page unless given */
  constructor(url) {
    super();
    this.#url = url;
  }

  connect() {
    if (this.#ws) return;
    if (!this.#ticker) {
      this.#ticker = setInterval(() => this.#listen(), 5_000);
      addEventListener('online', this.#wake);
      addEventListener('pageshow', this.#wake);
      addEventListener('pagehide', this.#hide);
      document.addEventListener('visibilitychange', this.#wake);
    }
    clearTimeout(this.#timer);
    const url = this.#url ?? new URL('ws', document.baseURI).href.replace(/^http/, 'ws');
    const ws = new WebSocket(url);
    this.#ws = ws;
    this.#bye = null;
    this.#heardAt = this.#openedAt = Date.now();
    this.#pingAt = 0;
    this.#become('connecting', this.reason);
    ws.onopen = () => this.greet();
    ws.onmessage = (e) => this.#frame(JSON.parse(e.data));
    ws.onclose = (e) => this.#lost(e.code);
  }

  /** Ends the connection for good; connect() starts again. */
  close(reason = '') {
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
    this.#ticker = 0;
    removeEventListener('online', this.#wake);
    removeEventListener('pageshow', this.#wake);
    removeEventListener('pagehide', this.#hide);
    document.removeEventListener('visibilitychange', this.#wake);
    this.#drop();
    this.#become('stopped', reason);
  }

  /** Ends the pause between two attempts. */
  retryNow() {
    if (this.state === 'waiting') this.connect();
  }

  /** Sends a command and resolves to its ack; rejects with a RoomtideError. */
  request(type, fields = {}) {
    return new Promise((resolve, reject) => {
      const ready = this.state === 'online' || type === 'hello';
      if (!ready || this.#ws?.readyState !== WebSocket.OPEN) {
        reject(new RoomtideError({ code: 'closed', message: 'not connected' }));
        return;
      }
      const id = ++this.#lastID;
      this.#waiting.set(id, { resolve, reject });
      this.#ws.send(JSON.stringify({ type, id, ...fields }));
    });
  }

  /** request(), repeated while the server answers with an error that may be retried. */
  async insist(type, fields) {
    for (let pause = 500; ; pause = Math.min(pause * 2, 15_000)) {
      try {
        return await this.request(type, fields);
      } catch (e) {
        if (!RETRYABLE.has(e.code)) throw e;
        await sleep(e.retryAfter || pause * (0.5 + Math.random()));
      }
    }
  }

  /** Sends a command that wants no ack, while the connection is online. */
  tell(type, fields) {
    this.#ws.send(JSON.stringify({ type, ...fields }));
  }

  /** Hello was acked. */
  welcome() {
    this.#become('online');
  }

  /** Hello failed: for now, or until something changes. */
  turnedAway(e) {
    if (e.code === 'closed') return;
    if (RETRYABLE.has(e.code) || e.code === 'internal') this.#lost(4200, e.message);
    else this.close(e.message);
  }

  #become(state, reason = '') {
    this.state = state;
    this.reason = reason;
    this.dispatchEvent(new Event('state'));
  }

  #frame(f) {
    this.#heardAt = Date.now();
    if (f.type === 'ack' || f.type === 'error') {
      const waiting = this.#waiting.get(f.id);
      this.#waiting.delete(f.id);
      if (f.type === 'ack') waiting?.resolve(f);
      else waiting?.reject(new RoomtideError(f));
    } else if (f.type === 'goodbye') {
      this.#bye = f;
    } else {
      this.hear(f);
    }
  }

  /** Sends a ping after silence and closes the connection if it stays silent. */
  #listen() {
    const now = Date.now();
    const dead = this.#pingAt > this.#heardAt && now - this.#pingAt > PONG_WITHIN;
    const stuck = this.state === 'connecting' && now - this.#openedAt > 2 * PONG_WITHIN;
    if (dead || stuck) {
      this.#lost(4002);
    } else if (this.state === 'online' && now - this.#heardAt > PING_AFTER && this.#pingAt <= this.#heardAt) {
      this.#pingAt = now;
      this.request('ping').catch(() => {});
    }
  }

  /** Drops the socket and rejects the commands that wait for a reply. */
  #drop() {
    const ws = this.#ws;
    if (!ws) return;
    this.#ws = null;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
    this.away();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const w of waiting) w.reject(new RoomtideError({ code: 'closed', message: 'not connected' }));
  }

  /** The connection ended. The range of the code says when to reconnect. */
  #lost(code, text) {
    const steady = this.state === 'online' && Date.now() - this.#openedAt > STEADY;
    const reason = text ?? this.#bye?.message ?? '';
    code = this.#bye?.code ?? code;
    if (code >= 4400 && code < 4600) {
      this.close(reason);
      return;
    }
    this.#drop();
    if (steady) this.#tries = 0;
    const now = code >= 4000 && code < 4200 && this.#tries === 0;
    const later = code >= 4200 && code < 4400;
    const most = now ? 500 : Math.min((later ? 4_000 : 1_000) * 2 ** this.#tries, 30_000);
    this.#tries++;
    // Full jitter: many clients reconnect spread out. The server may ask for more.
    const pause = Math.max(Math.random() * most, this.#bye?.retry_after ?? 0);
    this.retryAt = Date.now() + pause;
    this.#timer = setTimeout(() => this.connect(), pause);
    this.#become('waiting', reason);
  }
}
