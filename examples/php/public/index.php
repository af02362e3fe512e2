<?php

// The page: a log-in without a password, for it is an example, and the chat.

declare(strict_types=1);

require __DIR__ . '/../chat.php';

$user = user();
$name = trim((string) ($_POST['name'] ?? ''));
if ($_SERVER['REQUEST_METHOD'] === 'POST' && $name !== '') {
    session_regenerate_id(true);
    $_SESSION['user'] = $name;
    header('Location: index.php', true, 303);
    exit;
}
?>
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Shop</title>
<style>
    body { font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 2em auto; padding: 0 1em }
    #messages { list-style: none; padding: 0; min-height: 12em; border-bottom: 1px solid #ccc }
    #messages b { margin-right: .5em }
</style>
<?php if ($user === null) { ?>
<form method="post">
    <label>Your name <input name="name" required maxlength="60" autofocus></label>
    <button>Log in</button>
</form>
<?php } else { ?>
<p><?= htmlspecialchars($user) ?>, <span id="state">connecting</span></p>
<ul id="messages"></ul>
<form id="say"><input name="text" required autocomplete="off"> <button>Send</button></form>
<form id="order"><button>Order something</button></form>
<script type="module">
    import { Roomtide } from <?= json_encode(chat_url() . '/static/roomtide.js', JSON_HEX_TAG) ?>;

    const room = <?= json_encode(ROOM, JSON_HEX_TAG) ?>;
    const chat = new Roomtide({
        token: async () => {
            const answer = await fetch('token.php');
            if (!answer.ok) throw new Error('logged out');
            return answer.text();
        },
    });

    const draw = () => {
        const { messages, error } = chat.rooms.get(room);
        document.querySelector('#messages').replaceChildren(...messages.filter((m) => !m.deleted).map((m) => {
            const line = document.createElement('li');
            const author = document.createElement('b');
            author.textContent = m.name || m.user;
            line.append(author, m.message);
            return line;
        }));
        if (error) document.querySelector('#state').textContent = error;
    };
    chat.addEventListener('room', draw);
    chat.addEventListener('state', () => {
        document.querySelector('#state').textContent = chat.reason || chat.state;
    });
    chat.connect();
    chat.join(room);

    document.querySelector('#say').onsubmit = (event) => {
        event.preventDefault();
        chat.send(room, event.target.text.value); // kept and repeated until the server has it
        event.target.reset();
    };
    document.querySelector('#order').onsubmit = (event) => {
        event.preventDefault();
        fetch('order.php', { method: 'POST' });
    };
</script>
<?php } ?>
