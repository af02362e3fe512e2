<?php

// The new page: the same chat, in Roomtide. What is said here comes to the old page, and
// the other way round.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
if ($user === null) {
    login_form();
    exit;
}
$node = getenv('ROOMTIDE_URL') ?: 'http://127.0.0.1:8080';
?>
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="messages"></ul>
<form id="say"><input autocomplete="off" placeholder="Message"> <button>Say</button></form>
<script type="module">
import { Roomtide } from <?= json_encode($node . '/static/roomtide.js', JSON_HEX_TAG) ?>;

const room = <?= json_encode((string) ROOM) ?>;
const chat = new Roomtide({ token: async () => (await fetch('token.php')).text() });

chat.addEventListener('room', () => {
  const { messages } = chat.rooms.get(room);
  document.querySelector('#messages').replaceChildren(...messages.filter((m) => !m.deleted).map((m) => {
    const item = document.createElement('li');
    item.textContent = (m.name || m.user) + ': ' + m.message;
    return item;
  }));
});
chat.connect();
chat.join(room);
document.querySelector('#say').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = event.target.querySelector('input');
  chat.send(room, input.value);
  input.value = '';
});
</script>
