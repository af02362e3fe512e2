// Package deploy checks what deploy has: the files parse strictly, name settings, metrics
// and programs that exist, fit each other and what the program does, and the stack of the
// compose file runs, with its own settings, on loopback addresses.
package deploy
