// Package follow finds out which rows of a table in another program's database may
// have changed, while that program goes on writing.
//
// A follower yields keys, never rows. Its caller reads the rows by their keys and
// applies them idempotently. A key that is yielded too often, or a second time after a
// crash, then has no effect, and all ways to follow a table have the same result:
//
//   - the binlog of MySQL and MariaDB: every change, at once;
//   - a table of changes that triggers fill: every change, where triggers are allowed;
//   - polling, which needs no more than SELECT: new rows exactly, changed ones by a
//     column such as updated_at, and otherwise by looking at rows again;
//   - touches: keys that the writing program names over HTTP.
//
// # Why polling for keys above the last one loses rows
//
// A key is assigned when a row is inserted, and the row is seen when its transaction
// commits. A transaction that commits late leaves a row below the highest key that was
// seen. Therefore every key below that was never seen is remembered as a gap, and asked
// for until the row is there, or until no transaction is open any more that could own
// it. The position of a poll is the highest key without a gap below it.
//
// # Why an event of the binlog is not enough
//
// A transaction is in the binlog, and is sent to replicas, a moment before other
// connections see its rows. Keys are held back until the source's own snapshot is
// known to hold the transaction.
//
// # What none of them sees
//
// Deletions by foreign keys that cascade are in neither row events nor triggers, and a
// TRUNCATE names no rows. The sweep, which goes along with every kind, compares all
// rows in small steps and yields what differs.
package follow
