package follow

import (
	"context"
	"database/sql"
	"errors"

	"github.com/go-sql-driver/mysql"

	"github.com/roomtide/roomtide/adopt/source"
)

// transactions are open ones of the source, each by a name that no later one gets.
type transactions map[string]struct{}

func (t transactions) anyIn(others transactions) bool {
	for name := range t {
		if _, ok := others[name]; ok {
			return true
		}
	}
	return false
}

// listing are the questions for open transactions. MySQL and MariaDB answer to users
// with the right PROCESS. A thread may begin several transactions in a second, which
// then have one name: a gap is remembered a second longer. PostgreSQL tells any user
// which virtual transactions hold the lock of their own; prepared ones have none.
var listing = map[source.Engine]string{
	source.MySQL: "SELECT CONCAT(trx_mysql_thread_id, ' ', trx_started) FROM information_schema.innodb_trx WHERE trx_mysql_thread_id <> CONNECTION_ID()",
	source.Postgres: "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'virtualxid' AND mode = 'ExclusiveLock' AND pid <> pg_backend_pid() " +
		"UNION ALL SELECT 'prepared ' || gid FROM pg_prepared_xacts",
}

// openTransactions lists the transactions that are open, and reports whether they can
// be known. SQLite has one writer, whose keys are in the order of its commits.
func openTransactions(ctx context.Context, db *sql.DB, e source.Engine) (transactions, bool, error) {
	question, ok := listing[e]
	if !ok {
		return transactions{}, true, nil
	}
	open, err := names(ctx, db, question)
	if refused(err) { // MariaDB refuses the question, MySQL its first row
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fail("transactions", "", err)
	}
	return open, true, nil
}

func names(ctx context.Context, db *sql.DB, question string) (transactions, error) {
	rows, err := db.QueryContext(ctx, question)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	open := transactions{}
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		open[name] = struct{}{}
	}
	return open, rows.Err()
}

// refused reports whether the server misses a right.
func refused(err error) bool {
	var my *mysql.MySQLError
	return errors.As(err, &my) && (my.Number == 1227 || my.Number == 1142)
}
