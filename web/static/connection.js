const RETRYABLE = new Set(['rate_limited', 'busy', 'unavailable', 'read_only']);
const PING_AFTER = 25_000; // silence after which a ping is sent
const PROBE_AFTER = 5_000; // the same while a command waits for its reply
const PATIENCE = 5_000; // least time a ping is waited for
const MOST_PATIENCE = 40_000;
const OPEN_WITHIN = 20_000; // from connect() to the ack of hello
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
 * prepare() may return a promise that is waited for before each connection; greet()
 * sends hello on every new connection, and welcome() or turnedAway() is called with
 * the result; renew() is asked whether a refused token may be replaced by another;
 * hear(frame) gets all frames but replies and goodbyes; away() is called when the
 * connection has ended.
 *
 * A dead wire is noticed within about ten seconds where the client has a reason to
 * look: the browser says offline or online, the page is shown again, or a command has
 * no answer. An idle connection is probed every 25 seconds.
 *
 * Events: `state` (see state, reason and code).
 */
export class Connection extends EventTarget {
  state = 'stopped'; // 'connecting' | 'online' | 'waiting' (reconnects at retryAt) | 'stopped'
  reason = ''; // the reason for waiting or stopped, as a text
  code = ''; // the same as the protocol's word: a code of errors or a reason of goodbyes
  retryAt = 0;

  #url;
  #ws = null;
  #attempt = 0; // counts connections, so that what belongs to an earlier one is ignored
  #bye = null;
  #tries = 0;
  #timer = 0; // the next attempt
  #ticker = 0; // sends pings and detects silence
  #openedAt = 0;
  #heardAt = 0;
  #pingAt = 0; // when the ping was sent that has no answer yet; 0: none
  #patience = PATIENCE; // grows where answers are slow, so that a slow wire is not taken for dead
  #lastID = 0;
  #waiting = new Map(); // command id -> {resolve, reject, at}
  #wake = () => document.hidden || this.#look();
  #offline = () => this.state === 'stopped' || this.#lost(4000, 'offline', 'offline');
  #hide = () => this.#lost(4000); // the page may be restored from the browser's cache

  /** @param {string=} url of the server's WebSocket; beside this module's directory unless given */
  constructor(url) {
    super();
    this.#url = url ?? new URL('../ws', import.meta.url).href.replace(/^http/, 'ws');
  }

  connect() {
    if (this.state === 'connecting' || this.#ws) return;
    if (!this.#ticker) {
      this.#ticker = setInterval(() => this.#tick(), 1_000);
      this.#watch('addEventListener');
    }
    clearTimeout(this.#timer);
    this.#bye = null;
    this.#openedAt = Date.now();
    const attempt = ++this.#attempt;
    this.#become('connecting', this.reason, this.code);
    const ready = this.prepare();
    if (!ready) {
      this.#open();
      return;
    }
    ready.then(
      () => attempt === this.#attempt && this.#open(),
      (e) => attempt === this.#attempt && (e instanceof RoomtideError ? this.turnedAway(e) : this.#lost(4200, e.message, 'token')),
    );
  }

  /** Ends the connection for good; connect() starts again. */
  close(reason = '', code = '') {
    clearInterval(this.#ticker);
    clearTimeout(this.#timer);
    this.#ticker = 0;
    this.#watch('removeEventListener');
    this.#drop();
    this.#become('stopped', reason, code);
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
      this.#waiting.set(id, { resolve, reject, at: Date.now() });
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
    if (this.state === 'online') this.#ws.send(JSON.stringify({ type, ...fields }));
  }

  /** Hello was acked. */
  welcome() {
    this.#become('online');
  }

  /** Hello failed: for now, until there is another token, or for good. */
  turnedAway(e) {
    if (e.code === 'closed') return;
    if (RETRYABLE.has(e.code) || e.code === 'internal') this.#lost(4200, e.message, e.code);
    else if (e.code === 'unauthenticated' && this.renew()) this.#lost(4000, e.message, e.code);
    else this.close(e.message, e.code);
  }

  /** What ends the silence of a wire that looks alive: called by the browser's own events. */
  #look() {
    if (this.state === 'waiting') this.connect();
    else if (this.state === 'online' && !this.#pingAt) this.#ping();
  }

  #watch(verb) {
    globalThis[verb]('online', this.#wake);
    globalThis[verb]('offline', this.#offline);
    globalThis[verb]('pageshow', this.#wake);
    globalThis[verb]('pagehide', this.#hide);
    document[verb]('visibilitychange', this.#wake);
  }

  #open() {
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    this.#heardAt = Date.now();
    this.#pingAt = 0;
    ws.onopen = () => this.greet();
    ws.onmessage = (e) => this.#frame(JSON.parse(e.data));
    ws.onclose = (e) => this.#lost(e.code);
  }

  #become(state, reason = '', code = '') {
    this.state = state;
    this.reason = reason;
    this.code = code;
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

  #ping() {
    const at = Date.now();
    this.#pingAt = at;
    const answered = () => {
      if (this.#pingAt !== at) return;
      this.#pingAt = 0;
      this.#patience = Math.max(PATIENCE, 3 * (Date.now() - at));
    };
    this.request('ping').then(answered, () => {});
  }

  /** Sends a ping after silence and ends the connection if it stays silent. */
  #tick() {
    const now = Date.now();
    const silent = now - this.#heardAt;
    if (this.state === 'connecting') {
      if (now - this.#openedAt > OPEN_WITHIN) this.#lost(4002);
    } else if (this.state === 'online' && this.#pingAt) {
      if (Math.min(silent, now - this.#pingAt) < this.#patience) return;
      this.#patience = Math.min(2 * this.#patience, MOST_PATIENCE);
      this.#lost(4002);
    } else if (this.state === 'online') {
      const oldest = this.#waiting.values().next().value;
      const asked = oldest && Math.min(silent, now - oldest.at) > PROBE_AFTER;
      if (asked || silent > PING_AFTER) this.#ping();
    }
  }

  /** Drops the socket and rejects the commands that wait for a reply. */
  #drop() {
    this.#attempt++;
    const ws = this.#ws;
    if (!ws) return;
    this.#ws = null;
    this.#pingAt = 0;
    ws.onopen = ws.onmessage = ws.onclose = null;
    ws.close();
    this.away();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const w of waiting) w.reject(new RoomtideError({ code: 'closed', message: 'not connected' }));
  }

  /** The connection ended. The range of the code says when to reconnect. */
  #lost(code, text, word) {
    if (this.state === 'stopped' || (this.state === 'waiting' && code < 4200)) return;
    const steady = this.state === 'online' && Date.now() - this.#openedAt > STEADY;
    const reason = text ?? this.#bye?.message ?? '';
    word ??= this.#bye?.reason ?? '';
    code = this.#bye?.code ?? code;
    if (code === 4402 && this.renew()) code = 4000;
    if (code >= 4400 && code < 4600) {
      this.close(reason, word);
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
    this.#become('waiting', reason, word);
  }
}
