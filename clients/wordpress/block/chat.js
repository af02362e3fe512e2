// The chat in a page: one list and one field for each block, over one connection.
const boxes = document.querySelectorAll('.roomtide-chat');

function build(box) {
  const state = document.createElement('p');
  const list = document.createElement('ul');
  const form = document.createElement('form');
  const input = document.createElement('input');
  const button = document.createElement('button');
  state.setAttribute('role', 'status');
  input.autocomplete = 'off';
  input.required = true;
  button.textContent = box.dataset.send;
  form.append(input, ' ', button);
  box.append(state, list, form);
  return { room: box.dataset.room, state, list, form, input };
}

function line(message) {
  const item = document.createElement('li');
  const author = document.createElement('b');
  author.textContent = `${message.name || message.user} `;
  item.append(author, message.message);
  return item;
}

async function start() {
  const { server, token, nonce } = boxes[0].dataset;
  const { Roomtide } = await import(`${server}/static/roomtide.js`);
  const chat = new Roomtide({
    token: async () => {
      const answer = await fetch(token, { headers: { 'X-WP-Nonce': nonce } });
      if (!answer.ok) throw new Error((await answer.json()).message);
      return (await answer.json()).token;
    },
  });
  const views = Array.from(boxes, build);
  chat.addEventListener('state', () => {
    for (const view of views) view.state.textContent = chat.state === 'online' ? '' : chat.reason || chat.state;
  });
  chat.addEventListener('room', () => {
    for (const { room, state, list } of views) {
      const { messages, error } = chat.rooms.get(room) || { messages: [] };
      list.replaceChildren(...messages.filter((m) => !m.deleted).map(line));
      if (error) state.textContent = error;
    }
  });
  for (const { room, form, input } of views) {
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      chat.send(room, input.value);
      input.value = '';
    });
  }
  chat.connect();
  for (const { room } of views) chat.join(room);
}

if (boxes.length > 0) start();
