// Package crash kills a server under load, again and again, at random moments
// and at each named point of a message's way to the disk, and checks that no
// client can tell: every acknowledged message is there, once, under the number
// that was told, and every device was shown everything in order.
package crash
