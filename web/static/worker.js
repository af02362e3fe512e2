/**
 * The service worker: shows push notifications, opens the room of the one that is clicked,
 * closes those that were read elsewhere, and subscribes again when the browser has changed
 * the subscription. docs/push.md says what is pushed. It caches nothing.
 */
self.addEventListener('install', () => self.skipWaiting());
self.addEventListener('activate', (e) => e.waitUntil(self.clients.claim()));

self.addEventListener('push', (e) => {
  let push;
  try {
    push = e.data.json();
  } catch {
    return; // not from a Roomtide server
  }
  e.waitUntil(received(push));
});

self.addEventListener('notificationclick', (e) => {
  e.notification.close();
  e.waitUntil(open(e.notification.data?.room));
});

self.addEventListener('pushsubscriptionchange', (e) => e.waitUntil(changed(e)));

async function received({ title, body, tag, badge, data = {} }) {
  setBadge(badge);
  if (!title && !body) {
    await close(data.room, Number(data.read));
    return;
  }
  await self.registration.showNotification(title || body, {
    body: title ? body : '',
    tag,
    renotify: !!tag,
    data,
    icon: 'static/icon.svg',
  });
}

/** The number on the icon of an installed page. */
function setBadge(badge) {
  if (badge === undefined || !navigator.setAppBadge) return;
  (badge ? navigator.setAppBadge(badge) : navigator.clearAppBadge()).catch(() => {}); // not installed
}

/** Closes the notifications of a room that are about messages up to read. */
async function close(room, read) {
  for (const n of await self.registration.getNotifications()) {
    if (n.data?.room === room && Number(n.data.seq) <= read) n.close();
  }
}

/** Shows the room in a window that is open, or in a new one. */
async function open(room) {
  const place = room ? `#${new URLSearchParams({ room })}` : '';
  const windows = await self.clients.matchAll({ type: 'window' });
  const shown = windows.find((w) => w.focused) ?? windows.find((w) => w.visibilityState === 'visible') ?? windows[0];
  if (!shown) {
    await self.clients.openWindow(self.registration.scope + place);
    return;
  }
  if (room) shown.postMessage({ type: 'open', room });
  await shown.focus();
}

/** An open page registers the new subscription now, any other when it is opened. Where subscribing fails, it tries again. */
async function changed({ oldSubscription, newSubscription }) {
  try {
    if (!newSubscription && oldSubscription) await self.registration.pushManager.subscribe(oldSubscription.options);
  } finally {
    for (const w of await self.clients.matchAll({ type: 'window' })) w.postMessage({ type: 'subscription' });
  }
}
