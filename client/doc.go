// Package client is the Go client of Roomtide: bots, bridges, tests and tools
// talk to a server through it over the native WebSocket.
//
//	c, err := client.Dial(ctx, client.Options{URL: "ws://127.0.0.1:8080", User: "user1"})
//	…
//	defer c.Close()
//	joined, err := c.Join(ctx, "room1", client.JoinOptions{})
//	…
//	for ev := range c.Events() {
//		if ev.Kind == chat.EventMessage {
//			fmt.Println(ev.Message.User, ev.Message.Text)
//		}
//	}
//
// What it promises:
//
//   - Every message of a joined room reaches Events exactly once, in order of
//     Seq, whatever happens to the connection: the client reconnects by itself,
//     joins its rooms again after the rev it has, and fills what it missed.
//   - A message given to Send is numbered exactly once, or the error gives the
//     reason: it carries a key, and is sent again with the same key until the
//     server has decided.
//   - All memory is bounded. A consumer that does not read Events stops the
//     reading of the socket, and so in the end the server's sending; nothing is
//     dropped. While one of the client's methods waits for its answer, reading
//     goes on, so a loop over Events may call every method.
//
// Messages of one room that are sent one after the other are numbered in this
// order, unless the server refuses one of them for a while (busy, read_only):
// those behind it may then come first. Waiting for each Send keeps the order even
// then.
package client
