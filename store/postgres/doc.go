// Package postgres keeps a shard, or the control database, in PostgreSQL 13 or newer.
// What it reads and the rules of its tables are those of package sqldb; how a batch is
// written is its own: one pipelined batch, which is one transaction, with the fence as
// an error inside it and arrays in place of rows.
//
// # Connections
//
// A shard has one connection for its lane, on which everything is written in turn, and
// up to Options.MaxConns for readers. The lane's connection holds the claim: a lock of
// the session, which the server gives back when the connection ends.
//
// Plans do not depend on statistics: each question has its index, and the connections
// are told to use it and to plan a statement once. So a plan that was made while a
// table was empty is as good when it holds a million rows.
//
// # Poolers
//
// Behind a pooler that keeps sessions, such as PgBouncer with pool_mode = session,
// everything is the same, but for settings, which are set when a session has begun.
// Behind one that does not the DSN says default_query_exec_mode=exec (or
// simple_protocol, cache_describe). Then nothing is kept in a session: no prepared
// statements, no settings, and no claim, which is among the findings at open. Without
// it such a pooler is refused.
package postgres
