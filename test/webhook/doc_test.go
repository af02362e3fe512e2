// Package webhook holds tests of what a node tells the host's back end, with nodes that are
// killed, and of what it asks before it stores a message.
package webhook
