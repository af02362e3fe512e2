// Package testdb runs real MariaDB and PostgreSQL servers for tests: those of Debian's
// packages, on a free loopback port and a directory of their own, behind random
// passwords. A server that cannot run fails the test: there is no skipping.
//
// # One server for a package
//
// MariaDB and PostgreSQL return the address of a fresh, empty database on a server
// that the test binary starts once. It belongs to a user of its own, who may do
// everything in that database and nothing beside it. TestMain ends the servers:
//
//	func TestMain(m *testing.M) { os.Exit(testdb.Main(m)) }
//
// These servers write to disk without waiting for it, which makes a suite several
// times as fast. Nothing that is told about durability may be measured on them.
//
// # A server for one test
//
// Start starts a server that the test may stop, kill, pause and start again. It is as
// durable as the engine's own defaults, which are those of a careful operator: a
// commit is on disk when it is answered.
//
// A server ends with the test binary, however that ends. Directories that a killed
// test binary has left behind are removed by the next one.
package testdb
