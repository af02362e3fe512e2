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
  #registered = ''; // the device and the subscription that the server has from this page
  #turn = Promise.resolve(); // until the last of those that register, which do so one after the other

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
   * Asks the user, and turns notifications on: the server has the device then. False if the
   * user does not want them. After an error the user can be asked again.
   */
  async on() {
    if ((await Notification.requestPermission()) !== 'granted') {
      this.never();
      return false;
    }
    await this.#inTurn(async () => {
      const news = !named();
      if (news) keep(local, PLACE, crypto.randomUUID());
      try {
        await this.#tell();
      } catch (e) {
        if (news) keep(local, PLACE, '');
        throw e;
      }
    });
    return true;
  }

  /** The user does not want to be asked again. */
  never() {
    keep(local, PLACE, 'no');
  }

  /** Ends notifications for the user, who signs out. */
  async off() {
    const device = named();
    if (!device) return;
    keep(local, PLACE, ''); // what is being registered ends
    try {
      await this.#chat.request('drop_device', { device });
    } catch (e) {
      keep(local, PLACE, device);
      throw e;
    }
  }

  /** Closes the notifications of a room that are about messages up to read. */
  async close(room, read) {
    if (!this.#granted) return;
    const worker = await navigator.serviceWorker?.getRegistration(this.#worker);
    for (const n of (await worker?.getNotifications()) ?? []) {
      if (n.data?.room === room && Number(n.data.seq) <= read) n.close();
    }
  }

  /** Tells the server which subscription the browser has now, if notifications are on. */
  #register() {
    return this.#inTurn(() => this.#tell());
  }

  #inTurn(f) {
    const done = this.#turn.then(f);
    this.#turn = done.catch(() => {});
    return done;
  }

  async #tell() {
    const device = named();
    if (!device) return;
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
    const news = `${device} ${target.endpoint}`;
    if (this.#registered === news || named() !== device) return;
    await this.#chat.insist('register_device', { device, provider: 'webpush', language: this.#language, address: target });
    this.#registered = news;
    if (named() !== device) await this.#chat.request('drop_device', { device }); // notifications were turned off meanwhile
  }
}

/** The device that notifications are on for; empty if there is none. */
function named() {
  const device = local.getItem(PLACE);
  return device && device !== 'no' ? device : '';
}

/** The bytes of base64url. */
function bytes(text) {
  return Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
}

function same(a, buffer) {
  const b = new Uint8Array(buffer ?? []);
  return a.length === b.length && a.every((v, i) => v === b[i]);
}
