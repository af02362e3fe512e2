<?php

// The old page: it asks for messages every three seconds.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
if ($user === null) {
    login_form();
    exit;
}
?>
<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="messages"></ul>
<form id="say"><input autocomplete="off" placeholder="Message"> <button>Say</button></form>
<script>
let last = 0;

async function poll() {
  const answer = await fetch('messages.php?after=' + last);
  for (const m of await answer.json()) {
    last = Math.max(last, m.id);
    const item = document.createElement('li');
    item.textContent = m.name + ': ' + m.message;
    document.querySelector('#messages').append(item);
  }
}

document.querySelector('#say').addEventListener('submit', async (event) => {
  event.preventDefault();
  const input = event.target.querySelector('input');
  await fetch('messages.php', { method: 'POST', body: new URLSearchParams({ message: input.value }) });
  input.value = '';
  poll();
});

poll();
setInterval(poll, 3000);
</script>
