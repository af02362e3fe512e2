package follow

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// Log follows row events of the binary log of MySQL or MariaDB, as a replica does.
type Log struct {
	// Set once.
	c      *session
	server *binlogServer
	tables map[string]*logged // by schema.table, in small letters
	seenAt atomic.Int64       // source time of the last event, or when it was idle; unix nanoseconds

	// Owned by the caller of Next, and by Close after it.
	syncer   *replication.BinlogSyncer // nil while there is no connection
	stream   *replication.BinlogStreamer
	position logPosition // behind the last transaction that was read
	file     string      // of the events that are read
	until    logPlace    // behind the last transaction with a key
	open     transaction
	pending  []source.Key // of transactions that were read, not returned yet
	read     time.Time    // when the first of these was read
	stored   string       // the position that was returned last
	returned time.Time    // when that was
	failed   error        // it goes no further
}

// logPlace is a place in a file of the log.
type logPlace struct {
	file string
	pos  uint32
}

// transaction is what was read of one that is not complete yet.
type transaction struct {
	began bool // it is one of several events, and ends with a commit
	keys  []source.Key
	gtid  func(gomysql.GTIDSet) error // adds it to a set; nil without GTIDs
}

const (
	heartbeat  = time.Second      // how soon an idle server says that it is
	silence    = 15 * time.Second // after which the connection counts as lost
	gather     = 5 * time.Millisecond
	idleReport = 10 * time.Second // how often a position is returned without keys
	eventsHeld = 256              // read ahead of Next
)

func beginBinlog(ctx context.Context, c *session) (string, error) {
	s, err := lookAtBinlog(ctx, c)
	if err != nil {
		return "", err
	}
	if err := s.usable(); err != nil {
		return "", err
	}
	p, err := s.now(ctx)
	return p.String(), err
}

func openBinlog(ctx context.Context, c *session, position string) (*Log, error) {
	p, err := parseLogPosition(position)
	if err != nil {
		return nil, err
	}
	s, err := lookAtBinlog(ctx, c)
	if err != nil {
		return nil, err
	}
	if err := s.usable(); err != nil {
		return nil, err
	}
	tables, err := loggedTables(ctx, c)
	if err != nil {
		return nil, err
	}
	l := &Log{c: c, server: s, tables: tables, position: p, stored: position, returned: time.Now()}
	if p.Flavor != s.flavor() || p.Server != "" && p.Server != s.uuid {
		if err := l.anew(ctx, "the position is one of another server"); err != nil {
			return nil, err
		}
	}
	l.seenAt.Store(time.Now().UnixNano())
	return l, nil
}

func (l *Log) Next(ctx context.Context) ([]source.Key, string, error) {
	if l.failed != nil && len(l.pending) == 0 {
		return nil, "", l.failed
	}
	for l.failed == nil && !l.due() {
		if err := l.connect(ctx); err != nil {
			return nil, "", err
		}
		if err := l.event(ctx); err != nil {
			return nil, "", err
		}
	}
	if len(l.pending) > 0 {
		if err := l.server.visible(ctx, l.until, l.position.set, l.read); err != nil {
			return nil, "", err
		}
	}
	keys := unique(l.pending)
	l.pending, l.stored, l.returned = nil, l.position.String(), time.Now()
	if len(keys) == 0 && l.failed != nil {
		return nil, "", l.failed
	}
	return keys, l.stored, nil
}

// due reports whether there is something to return.
func (l *Log) due() bool {
	switch {
	case len(l.pending) >= pageRows:
		return true
	case len(l.pending) > 0:
		return time.Since(l.read) >= gather
	}
	return time.Since(l.returned) >= idleReport && l.position.String() != l.stored
}

// event waits for an event, for a moment if keys wait to be returned.
func (l *Log) event(ctx context.Context) error {
	if l.syncer == nil {
		return nil // it begins anew
	}
	wait := heartbeat
	if len(l.pending) > 0 {
		wait = gather - time.Since(l.read)
	}
	moment, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	e, err := l.stream.GetEvent(moment)
	switch {
	case err == nil:
		return l.take(ctx, e)
	case ctx.Err() != nil:
		return fail("binlog", l.c.Tables[0].Name, ctx.Err())
	case errors.Is(err, context.DeadlineExceeded) && moment.Err() != nil:
		return nil
	}
	l.disconnect()
	return l.lost(ctx, err)
}

// connect asks the server for events behind the position.
func (l *Log) connect(ctx context.Context) (err error) {
	if l.syncer != nil {
		return nil
	}
	config, err := l.server.replica(l.c.Log)
	if err != nil {
		return err
	}
	config.RowsEventDecodeFunc = l.decode
	l.open, l.file = transaction{}, l.position.File
	l.syncer = replication.NewBinlogSyncer(config)
	if l.position.set != nil {
		l.stream, err = l.syncer.StartSyncGTID(l.position.set.Clone())
	} else {
		l.stream, err = l.syncer.StartSync(gomysql.Position{Name: l.position.File, Pos: l.position.Pos})
	}
	if err != nil {
		l.disconnect()
		return l.lost(ctx, err)
	}
	return nil
}

// disconnect gives the connection up. What was read of a transaction that is not
// complete is read again.
func (l *Log) disconnect() {
	if l.syncer != nil {
		l.syncer.Close()
		l.syncer = nil
	}
}

// lost is the error of a connection that has ended.
func (l *Log) lost(ctx context.Context, err error) error {
	var my *gomysql.MyError
	if !errors.As(err, &my) {
		return &chat.Error{Kind: chat.Unavailable, Op: "follow.binlog", Subject: l.c.Tables[0].Name, Text: "the source does not answer", Err: err}
	}
	if my.Code == gomysql.ER_MASTER_FATAL_ERROR_READING_BINLOG && l.c.unseen != nil {
		l.c.Log.Error("follow: the source has deleted its binary log behind the position; let it keep logs for longer (binlog_expire_logs_seconds, or expire_logs_days)",
			"position", l.position.String(), "err", err)
		return l.anew(ctx, "the binary log was deleted before it was read")
	}
	kind, text := mysqlKind(my.Code)
	switch my.Code {
	case gomysql.ER_MASTER_FATAL_ERROR_READING_BINLOG:
		kind, text = chat.NotFound, "the source does not hold its binary log from the position on any more: let it keep logs for longer "+
			"(binlog_expire_logs_seconds, or expire_logs_days), and follow with a sweep, which compares all rows"
	case gomysql.ER_SPECIFIC_ACCESS_DENIED_ERROR, gomysql.ER_ACCESS_DENIED_ERROR:
		kind, text = chat.Forbidden, "the user of the source may not read the binary log: GRANT REPLICATION SLAVE ON *.* to it, or follow by triggers or polling"
	}
	err = &chat.Error{Kind: kind, Op: "follow.binlog", Subject: l.c.Tables[0].Name, Text: text, Err: err}
	if !kind.Retryable() {
		l.failed = err
	}
	return err
}

// anew begins at the end of the log, and has all rows compared.
func (l *Log) anew(ctx context.Context, reason string) error {
	p, err := l.server.now(ctx)
	if err != nil {
		return err
	}
	l.position = p
	l.c.missed(reason)
	return nil
}

// Lag is by the clock of the source, which tells the time of events in whole seconds.
func (l *Log) Lag() time.Duration {
	return max(0, time.Since(time.Unix(0, l.seenAt.Load()))-2*heartbeat)
}

func (l *Log) Close() error {
	l.disconnect()
	return nil
}

// unique leaves each key once, in order.
func unique(keys []source.Key) []source.Key {
	seen := make(map[source.Key]bool, len(keys))
	var list []source.Key
	for _, k := range keys {
		if !seen[k] {
			seen[k] = true
			list = append(list, k)
		}
	}
	return list
}
