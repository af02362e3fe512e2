// Package testprocess runs the real program for tests: it builds the program once,
// starts nodes on a data directory, and ends them by signal, by SIGKILL or on their
// own. It also finds the browser that tests drive, and installs packages of npm.
package testprocess
