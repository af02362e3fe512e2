// Package engines moves the same rooms from one engine of databases to another, on
// the real servers, and looks for a difference. It has one of them fall silent.
package engines
