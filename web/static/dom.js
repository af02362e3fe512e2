/** The DOM helpers of the page. Data is inserted as text, never as markup. */

const SLOW = 4; // milliseconds of drawing that leave a frame in time
const LONGEST = 500; // milliseconds between two frames drawn, at most

export const $ = (id) => document.getElementById(id);

/** Makes an element. Attributes named on… are listeners; false and undefined leave one out. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, '');
    else if (value !== false && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== undefined && child !== null && child !== false));
  return node;
}

/** A name or text of a user, whose direction is not that of the words around it. */
export const bdi = (text) => el('bdi', {}, text);

/** A drawing of lines in the colour of the text around it. label says what it means. */
export function glyph(kind, lines, label) {
  const make = (tag) => document.createElementNS('http://www.w3.org/2000/svg', tag);
  const node = make('svg');
  const set = { class: `glyph ${kind}`, viewBox: '0 0 20 12', role: 'img', 'aria-label': label };
  for (const [name, value] of Object.entries(set)) node.setAttribute(name, value);
  const [title, path] = [make('title'), make('path')];
  title.textContent = label;
  path.setAttribute('d', lines);
  node.append(title, path);
  return node;
}

/** Makes node's content the given text and nodes, if it reads differently. */
export function write(node, ...content) {
  const text = content.map((part) => part.textContent ?? part).join('');
  if (node.textContent !== text) node.replaceChildren(...content);
}

/** Sets a property that costs layout only if it changes. */
export function put(node, name, value) {
  if (node[name] !== value) node[name] = value;
}

/**
 * Makes parent's children the given items, keeping the nodes of those that were
 * there. An item is {id, was, …}; draw(node, item) runs for a new one and when
 * a value in its array was is not the same as before. True if anything changed.
 */
export function sync(parent, items, draw) {
  const rows = (parent.rows ??= new Map()); // id -> node
  const ids = new Set(items.map((item) => item.id));
  let changed = false;
  for (const [id, node] of rows) {
    if (ids.has(id)) continue;
    rows.delete(id);
    node.remove(); // before the others are placed, which so stay where they are
    changed = true;
  }
  let at = parent.firstElementChild;
  for (const item of items) {
    let node = rows.get(item.id);
    if (!node) rows.set(item.id, (node = el('li')));
    const same = node.was?.length === item.was.length && node.was.every((v, i) => v === item.was[i]);
    if (!same) {
      node.was = item.was;
      draw(node, item);
    }
    changed ||= !same || node !== at;
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
  }
  return changed;
}

/**
 * A round badge: the picture at the address that the host has given for the user, or the first
 * letter of a name, in a colour of its own, if there is none or it cannot be shown.
 */
export function avatar(user, name, picture) {
  let hash = 0x811c9dc5;
  for (const c of user) hash = Math.imul(hash ^ c.codePointAt(0), 0x01000193);
  hash ^= hash >>> 15;
  const node = el('i', { class: 'avatar', 'aria-hidden': 'true' }, [...name][0]?.toUpperCase() ?? '?');
  node.style.setProperty('--hue', (hash >>> 0) % 360);
  if (picture) {
    const img = el('img', { alt: '', width: 32, height: 32, loading: 'lazy', decoding: 'async', referrerpolicy: 'no-referrer' });
    img.addEventListener('error', () => img.remove());
    img.src = picture; // the last: what is above holds for the request
    node.append(img);
  }
  return node;
}

/**
 * Runs draw once soon, however often it is asked; also while the page is hidden. Where
 * drawing is slow it happens less often, so that most frames are free for the user:
 * after a frame that took n ms there is no other for three times as long.
 */
export function soon(draw) {
  let due = false;
  let free = 0; // when the next frame may be drawn
  const run = () => {
    if (!due) return;
    due = false;
    const start = performance.now();
    draw();
    const took = performance.now() - start;
    free = took < SLOW ? 0 : start + took + Math.min(3 * took, LONGEST);
  };
  const frame = () => requestAnimationFrame(run);
  document.addEventListener('visibilitychange', () => document.hidden && run()); // there will be no frame
  return () => {
    if (due) return;
    due = true;
    const wait = free - performance.now();
    if (document.hidden) setTimeout(run, 100);
    else if (wait > 0) setTimeout(frame, wait);
    else frame();
  };
}

/** Runs draw now, or when the last time is ms ago. */
export function paced(ms, draw) {
  let last = -ms;
  let timer = 0;
  return function again() {
    const wait = last + ms - performance.now();
    if (timer) return;
    if (wait > 0) {
      timer = setTimeout(() => {
        timer = 0;
        again();
      }, wait);
      return;
    }
    last = performance.now();
    draw();
  };
}

/** A button that asks for confirmation before an action that cannot be undone. */
export function twice(button, ask, act) {
  const text = button.textContent;
  let timer = 0;
  const calm = () => {
    clearTimeout(timer);
    timer = 0;
    button.textContent = text;
    button.classList.remove('sure');
  };
  button.addEventListener('click', () => {
    if (timer) {
      calm();
      act();
      return;
    }
    button.textContent = ask;
    button.classList.add('sure');
    timer = setTimeout(calm, 4_000);
  });
}

/** Up and down move the focus within a list whose links or rows are one tab stop. */
export function arrows(list, select, leave = () => {}) {
  list.addEventListener('keydown', (e) => {
    const by = { ArrowUp: -1, ArrowDown: 1 }[e.key];
    const from = by && e.target.closest(select);
    if (!from) return;
    const all = [...list.querySelectorAll(select)];
    const to = all[all.indexOf(from) + by];
    if (to) to.focus();
    else leave(by);
    e.preventDefault();
  });
}
