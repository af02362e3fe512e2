"""A client in Python: peer.py URL sync|asyncio TRANSPORTS. The handlers have one
parameter, as is usual there. Prints what it received, as JSON."""
import asyncio
import json
import queue
import sys

import socketio

url, kind, transports = sys.argv[1], sys.argv[2], sys.argv[3].split(',')
patience = 20


def with_threads():
    client, got = socketio.Client(), queue.Queue()

    @client.on('hello')
    def on_hello(me):
        got.put(me)

    @client.on('message')
    def on_message(message):
        got.put(message)

    client.connect(url, auth={'user': 'ann'}, transports=transports)
    out = [got.get(timeout=patience), client.call('join', {'room': 'room1'}, timeout=patience)]
    out.append(client.call('message', {'room': 'room1', 'message': 'grüße 😀'}, timeout=patience))
    out.append(got.get(timeout=patience))
    out.append(client.call('message', {'room': 'elsewhere', 'message': 'x'}, timeout=patience))
    out.append(client.transport())
    client.disconnect()
    return out


async def with_asyncio():
    client, got = socketio.AsyncClient(), asyncio.Queue()

    @client.on('hello')
    async def on_hello(me):
        await got.put(me)

    @client.on('message')
    async def on_message(message):
        await got.put(message)

    await client.connect(url, auth={'user': 'ann'}, transports=transports)
    out = [await asyncio.wait_for(got.get(), patience), await client.call('join', {'room': 'room1'}, timeout=patience)]
    out.append(await client.call('message', {'room': 'room1', 'message': 'grüße 😀'}, timeout=patience))
    out.append(await asyncio.wait_for(got.get(), patience))
    out.append(await client.call('message', {'room': 'elsewhere', 'message': 'x'}, timeout=patience))
    out.append(client.transport())
    await client.disconnect()
    return out


print(json.dumps(with_threads() if kind == 'sync' else asyncio.run(with_asyncio())))
