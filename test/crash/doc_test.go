// Package crash kills a server under load, repeatedly, at random moments and at each
// named point of a message's way to the disk, and checks what clients observe: every
// acknowledged message exists once, under the acknowledged number, and every client
// receives everything in order.
package crash
