/**
 * Push notifications of a browser: permission, subscription, and its registration as a
 * device of the user. The server has to have Web Push (chat.webPushKey), and the page a
 * service worker such as worker.js.
 *
 *   const push = new Push(chat, 'worker.js');
 *   if (push.askable) button.onclick = () => push.on();    // browsers want a click
 */
import { keep, local } from './storage.js';

const PLACE = 'roomtide.device';

export class Push {
  #chat;
  #worker;
  #language;
  #registered = ''; // the subscription that the server has from this page

  /**
   * @param worker address of the service worker; its scope has to hold the page.
   * @param language of what notifications say, such as that of the page.
   */
  constructor(chat, worker, language = document.documentElement.lang) {
    this.#chat = chat;
    this.#worker = worker;
    this.#language = language;
    chat.addEventListener('state', () => {
      if (chat.state !== 'online') this.#registered = '';
      else if (this.#granted) this.#register().catch(() => {}); // the next connection tries again
    });
    navigator.serviceWorker?.addEventListener('message', (e) => {
      if (e.data?.type === 'subscription') this.#register().catch(() => {});
    });
  }

  get #possible() {
    return !!this.#chat.webPushKey && 'serviceWorker' in navigator && 'PushManager' in globalThis && 'Notification' in globalThis;
  }

  get #granted() {
    return this.#possible && Notification.permission === 'granted' && local.getItem(PLACE) !== null;
  }

  /** The user can be asked, and was not yet. */
  get askable() {
    return this.#possible && Notification.permission !== 'denied' && local.getItem(PLACE) === null;
  }

  /**
   * Asks the user, and turns notifications on; false if the user does not want them. After
   * an error the user can be asked again.
   */
  async on() {
    if ((await Notification.requestPermission()) !== 'granted') {
      this.never();
      return false;
    }
    keep(local, PLACE, crypto.randomUUID());
    try {
      await this.#register();
    } catch (e) {
      keep(local, PLACE, '');
      throw e;
    }
    return true;
  }

  /** The user does not want to be asked again. */
  never() {
    keep(local, PLACE, 'no');
  }

  /** Ends notifications for the user, who signs out. */
  async off() {
    const device = local.getItem(PLACE);
    if (!device || device === 'no') return;
    await this.#chat.request('drop_device', { device });
    keep(local, PLACE, '');
  }

  /** Closes the notifications of a room that are about messages up to read. */
  async close(room, read) {
    if (!this.#granted) return;
    const worker = await navigator.serviceWorker?.getRegistration(this.#worker);
    for (const n of (await worker?.getNotifications()) ?? []) {
      if (n.data?.room === room && Number(n.data.seq) <= read) n.close();
    }
  }

  /** Tells the server which subscription the browser has now. */
  async #register() {
    const device = local.getItem(PLACE);
    if (!device || device === 'no' || this.#chat.state !== 'online') return;
    await navigator.serviceWorker.register(this.#worker);
    const { pushManager } = await navigator.serviceWorker.ready;
    const key = bytes(this.#chat.webPushKey);
    let subscription = await pushManager.getSubscription();
    if (subscription && !same(key, subscription.options.applicationServerKey)) {
      await subscription.unsubscribe(); // it was made for another server
      subscription = null;
    }
    subscription ??= await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    const target = subscription.toJSON();
    if (this.#registered === target.endpoint) return;
    await this.#chat.request('register_device', { device, provider: 'webpush', language: this.#language, address: target });
    this.#registered = target.endpoint;
  }
}

/** The bytes of base64url. */
function bytes(text) {
  return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
}

function same(a, buffer) {
  const b = new Uint8Array(buffer ?? []);
  return a.length === b.length && a.every((v, i) => v === b[i]);
}
