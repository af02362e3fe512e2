// Package planted has the program make a mistake on purpose, to see that the fault runs
// and the suites notice. Built without the tag "planted", as every release is, each name
// here is a constant that is false, and the compiler leaves out what depends on it.
//
// Built with the tag, the environment variable ROOMTIDE_PLANTED names the mistake, and the clock of the
// program can be wrong.
package planted
