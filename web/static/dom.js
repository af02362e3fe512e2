/** The DOM helpers of the page. Data is inserted as text, never as markup. */

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

/**
 * Makes parent's children the given items, keeping the nodes of those that were
 * there. An item is {id, was, …}; draw(node, item) runs for a new one and when
 * a value in its array was is not the same as before.
 */
export function sync(parent, items, draw) {
  const old = new Map(Array.from(parent.children, (node) => [node.dataset.id, node]));
  let at = parent.firstElementChild;
  for (const item of items) {
    const id = String(item.id);
    const node = old.get(id) ?? el('li', { 'data-id': id });
    old.delete(id);
    if (node === at) at = at.nextElementSibling;
    else parent.insertBefore(node, at);
    if (!node.was || node.was.length !== item.was.length || node.was.some((v, i) => v !== item.was[i])) {
      node.was = item.was;
      draw(node, item);
    }
  }
  for (const node of old.values()) node.remove();
}

const link = /https?:\/\/[\w\-.~:/?#[\]@!$&'()*+,;=%]+/gi;

/** Text as nodes, with web addresses made into links. */
export function linked(text) {
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(link)) {
    // A full stop or a bracket after an address is rarely part of it.
    const bare = match[0].replace(/[.,;:!?'\]]+$/, '');
    const address = bare.includes('(') ? bare : bare.replace(/\).*$/, '');
    if (!URL.canParse(address)) continue;
    nodes.push(text.slice(from, match.index));
    nodes.push(el('a', { href: address, target: '_blank', rel: 'noopener noreferrer' }, address));
    from = match.index + address.length;
  }
  nodes.push(text.slice(from));
  return nodes;
}

/** A round badge with the first letter of a name, in a colour of its own. */
export function avatar(user, name) {
  let hue = 0;
  for (const c of user) hue = (hue * 31 + c.codePointAt(0)) % 360;
  const node = el('i', { class: 'avatar', 'aria-hidden': 'true' }, [...name][0]?.toUpperCase() ?? '?');
  node.style.setProperty('--hue', hue);
  return node;
}

/** Runs draw once soon, however often it is asked; also while the page is hidden. */
export function soon(draw) {
  let due = false;
  const run = () => {
    due = false;
    draw();
  };
  return () => {
    if (due) return;
    due = true;
    if (document.hidden) setTimeout(run, 100);
    else requestAnimationFrame(run);
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
