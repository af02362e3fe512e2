// Package roomtide is the root of the module and holds no code of its own: only
// the tests of what is true of the whole tree, such as which package may import
// which. The program is cmd/roomtide.
package roomtide
