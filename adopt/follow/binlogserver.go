package follow

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	gomysql "github.com/go-mysql-org/go-mysql/mysql"
	"github.com/go-mysql-org/go-mysql/replication"

	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/chat"
)

// binlogServer is a server with a binary log, and its settings.
type binlogServer struct {
	c        *session
	maria    bool
	logBin   bool
	format   string
	image    string
	uuid     string // of MySQL
	gtids    bool   // transactions have global ids
	snapshot bool   // a snapshot tells its position in the log: MariaDB, Percona
	ahead    time.Duration
}

// logPosition is a place between two transactions: a set of GTIDs, or a file of one
// server with a place in it.
type logPosition struct {
	Flavor string `json:"flavor"`
	GTID   string `json:"gtid,omitempty"`
	Server string `json:"server,omitempty"`
	File   string `json:"file,omitempty"`
	Pos    uint32 `json:"pos,omitempty"`

	set gomysql.GTIDSet // GTID in memory; nil: a file
}

func (p logPosition) String() string {
	if p.set != nil {
		p.GTID, p.File, p.Pos = p.set.String(), "", 0
	}
	b, err := json.Marshal(p)
	if err != nil {
		panic(err) // strings and a number always have a form
	}
	return string(b)
}

func parseLogPosition(text string) (p logPosition, err error) {
	if err = json.Unmarshal([]byte(text), &p); err == nil && p.Server == "" {
		p.set, err = gomysql.ParseGTIDSet(p.Flavor, p.GTID)
	}
	if err != nil {
		err = &chat.Error{Kind: chat.Invalid, Op: "follow.binlog", Text: "this is not a position in a binary log", Err: err}
	}
	return p, err
}

// lookAtBinlog asks for the settings that matter.
func lookAtBinlog(ctx context.Context, c *session) (*binlogServer, error) {
	if c.engine != source.MySQL {
		return nil, &chat.Error{Kind: chat.Invalid, Op: "follow.binlog", Text: "only MySQL and MariaDB have a binary log"}
	}
	v, err := pairs(ctx, c.db, "binlog", "SHOW GLOBAL VARIABLES WHERE Variable_name IN "+
		"('version', 'log_bin', 'binlog_format', 'binlog_row_image', 'server_uuid', 'gtid_mode')")
	if err != nil {
		return nil, err
	}
	for name, value := range v {
		v[strings.ToLower(name)] = value
	}
	maria := strings.Contains(strings.ToLower(v["version"]), "mariadb")
	s := &binlogServer{c: c, maria: maria, logBin: v["log_bin"] == "ON", format: v["binlog_format"], image: v["binlog_row_image"],
		uuid: v["server_uuid"], gtids: maria || v["gtid_mode"] == "ON"}
	file, _, err := s.snapshotPosition(ctx)
	if err != nil {
		return nil, err
	}
	s.snapshot = file != ""
	var now float64
	err = c.db.QueryRowContext(ctx, "SELECT UNIX_TIMESTAMP(NOW(6))").Scan(&now)
	s.ahead = time.Until(time.UnixMicro(int64(now * 1e6)))
	return s, fail("binlog", "", err)
}

// usable is an error that says what is to be changed at the server.
func (s *binlogServer) usable() error {
	text := ""
	switch {
	case !s.logBin:
		text = "the source has no binary log: start the server with log_bin, or follow by triggers or polling"
	case s.format != "ROW":
		text = "the binary log of the source has binlog_format=" + s.format + ", which does not name the rows that change: SET GLOBAL binlog_format = 'ROW', " +
			"let the connections of the site begin anew, or follow by triggers or polling"
	default:
		return nil
	}
	return &chat.Error{Kind: chat.Invalid, Op: "follow.binlog", Text: text}
}

func (s *binlogServer) flavor() string {
	if s.maria {
		return gomysql.MariaDBFlavor
	}
	return gomysql.MySQLFlavor
}

// now is a position: what is in the log before it can be seen, and what comes behind it
// will be read.
func (s *binlogServer) now(ctx context.Context) (p logPosition, err error) {
	p.Flavor = s.flavor()
	switch {
	case s.maria && s.snapshot:
		file, pos, err := s.snapshotPosition(ctx)
		if err != nil {
			return p, err
		}
		err = s.c.db.QueryRowContext(ctx, "SELECT COALESCE(BINLOG_GTID_POS(?, ?), '')", file, pos).Scan(&p.GTID)
		if err != nil {
			return p, fail("binlog", "", err)
		}
	case s.maria:
		if err := s.c.db.QueryRowContext(ctx, "SELECT @@global.gtid_binlog_pos").Scan(&p.GTID); err != nil {
			return p, fail("binlog", "", err)
		}
	case s.gtids: // what MySQL counts as executed can be seen
		if err := s.c.db.QueryRowContext(ctx, "SELECT @@global.gtid_executed").Scan(&p.GTID); err != nil {
			return p, fail("binlog", "", err)
		}
		p.GTID = strings.Join(strings.Fields(p.GTID), "")
	default:
		if err := s.filePosition(ctx, &p); err != nil {
			return p, err
		}
	}
	if p.Server == "" {
		if p.set, err = gomysql.ParseGTIDSet(p.Flavor, p.GTID); err != nil {
			return p, fail("binlog", "", err)
		}
	}
	if !s.tells() {
		err = sleep(ctx, unknownDelay)
	}
	return p, fail("binlog", "", err)
}

// filePosition is the end of the log of a server without GTIDs.
func (s *binlogServer) filePosition(ctx context.Context, p *logPosition) error {
	p.Server = cmp.Or(s.uuid, "unknown")
	rows, err := s.c.db.QueryContext(ctx, "SHOW BINARY LOG STATUS")
	if err != nil { // before MySQL 8.2
		rows, err = s.c.db.QueryContext(ctx, "SHOW MASTER STATUS")
	}
	if refused(err) {
		return &chat.Error{Kind: chat.Forbidden, Op: "follow.binlog", Err: err,
			Text: "the user of the source may not ask where its binary log ends: GRANT REPLICATION CLIENT ON *.* to it"}
	}
	if err != nil {
		return fail("binlog", "", err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil || len(columns) < 2 || !rows.Next() {
		return fail("binlog", "", errors.Join(err, rows.Err(), errors.New("no position of the binary log")))
	}
	values := make([]any, len(columns))
	values[0], values[1] = &p.File, &p.Pos
	for i := 2; i < len(values); i++ {
		values[i] = new(sql.RawBytes)
	}
	return fail("binlog", "", rows.Scan(values...))
}

// snapshotPosition is the end of the log as a snapshot of now holds it: everything
// before it can be seen. file is "" where snapshots do not tell it.
func (s *binlogServer) snapshotPosition(ctx context.Context) (file string, pos uint32, err error) {
	conn, err := s.c.db.Conn(ctx)
	if err != nil {
		return "", 0, fail("binlog", "", err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "START TRANSACTION WITH CONSISTENT SNAPSHOT"); err != nil {
		return "", 0, fail("binlog", "", err)
	}
	file, pos, err = snapshotStatus(ctx, conn)
	_, e := conn.ExecContext(ctx, "ROLLBACK")
	return file, pos, fail("binlog", "", errors.Join(err, e))
}

func snapshotStatus(ctx context.Context, conn *sql.Conn) (file string, pos uint32, err error) {
	rows, err := conn.QueryContext(ctx, "SHOW STATUS WHERE Variable_name IN ('Binlog_snapshot_file', 'Binlog_snapshot_position')")
	if err != nil {
		return "", 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var name, value string
		if err := rows.Scan(&name, &value); err != nil {
			return "", 0, err
		}
		if strings.EqualFold(name, "Binlog_snapshot_file") {
			file = value
			continue
		}
		n, err := strconv.ParseUint(value, 10, 32)
		if err != nil {
			return "", 0, err
		}
		pos = uint32(n)
	}
	return file, pos, rows.Err()
}

// unknownDelay is how long a transaction is held back where the server does not tell
// whether it can be seen.
const unknownDelay = time.Second

// tells reports whether the server tells what in its log can be seen.
func (s *binlogServer) tells() bool { return s.snapshot || !s.maria && s.gtids }

// visible waits until all connections see what is in the log before a position. Replicas
// get a transaction before that.
func (s *binlogServer) visible(ctx context.Context, p logPlace, set gomysql.GTIDSet, read time.Time) error {
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		seen, err := s.sees(ctx, p, set, read)
		if err != nil || seen {
			return err
		}
		if err := sleep(ctx, pause); err != nil {
			return fail("binlog", "", err)
		}
	}
}

func (s *binlogServer) sees(ctx context.Context, p logPlace, set gomysql.GTIDSet, read time.Time) (seen bool, err error) {
	switch {
	case s.snapshot:
		at, pos, err := s.snapshotPosition(ctx)
		return compareFiles(at, p.file) > 0 || at == p.file && pos >= p.pos, err
	case !s.maria && s.gtids:
		err = s.c.db.QueryRowContext(ctx, "SELECT GTID_SUBSET(?, @@global.gtid_executed)", set.String()).Scan(&seen)
		return seen, fail("binlog", "", err)
	}
	return time.Since(read) >= unknownDelay, nil
}

// compareFiles compares the numbers at the end of names of log files.
func compareFiles(a, b string) int {
	number := func(name string) (n uint64) {
		n, _ = strconv.ParseUint(name[strings.LastIndexByte(name, '.')+1:], 10, 64)
		return n
	}
	return cmp.Compare(number(a), number(b))
}

// replica are the settings of a connection that reads the log.
func (s *binlogServer) replica(log *slog.Logger) (replication.BinlogSyncerConfig, error) {
	var id [4]byte
	if _, err := rand.Read(id[:]); err != nil {
		return replication.BinlogSyncerConfig{}, fail("binlog", "", err)
	}
	config := replication.BinlogSyncerConfig{
		// Servers end the connection of another replica with the same number.
		ServerID: binary.LittleEndian.Uint32(id[:]) | 1<<31, Flavor: s.flavor(), HeartbeatPeriod: heartbeat, ReadTimeout: silence,
		DisableRetrySync: true, DiscardGTIDSet: true, EventCacheCount: eventsHeld, FillZeroLogPos: s.maria, PayloadDecoderConcurrency: 1,
		TimestampStringLocation: time.UTC, Logger: slog.New(slog.DiscardHandler),
	}
	return config, s.login(&config)
}

// login fills in how the server is reached.
func (s *binlogServer) login(config *replication.BinlogSyncerConfig) error {
	my, err := source.MySQLConfig(s.c.Source, s.c.Secret)
	if err != nil {
		return err
	}
	config.User, config.Password, config.TLSConfig = my.User, my.Passwd, my.TLS
	config.Dialer = func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, my.Net, my.Addr)
	}
	host, text, err := net.SplitHostPort(my.Addr)
	if my.Net == "unix" {
		host, text, err = "localhost", "3306", nil
	}
	if err != nil {
		return invalid("binlog", "", "the address of the source has no port that is a number")
	}
	port, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return invalid("binlog", "", "the address of the source has no port that is a number")
	}
	config.Host, config.Port = host, uint16(port)
	switch my.TLSConfig {
	case "true":
		config.TLSConfig = &tls.Config{ServerName: host, MinVersion: tls.VersionTLS12}
	case "skip-verify", "preferred":
		config.TLSConfig = &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}
	}
	return nil
}
