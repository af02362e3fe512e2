package mysql

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/store/sqldb"
)

// server is what a server says about itself.
type server struct {
	vars  map[string]string // variables of the session that this package has set up
	clock time.Duration     // how much the server's clock is ahead of this machine's
}

func (s *server) maria() bool { return strings.Contains(s.vars["version"], "MariaDB") }

func (s *server) number(name string) int64 {
	n, _ := strconv.ParseInt(s.vars[name], 10, 64)
	return n
}

func (s *server) on(name string) bool { return s.vars[name] == "ON" || s.vars[name] == "1" }

// look reads the settings, and the clock.
func (db *database) look(ctx context.Context) (*server, error) {
	s := &server{vars: map[string]string{}}
	var now int64
	var began time.Time
	clock := sqldb.Question{
		Text: "SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)",
		Row:  func(row sqldb.Scanner) error { return row.Scan(&now) },
	}
	err := db.Ask(ctx, sqldb.Question{
		Text: "SHOW VARIABLES WHERE Variable_name IN ('version', 'sql_mode', 'transaction_isolation', 'tx_isolation', 'log_bin', " +
			"'innodb_flush_log_at_trx_commit', 'sync_binlog', 'innodb_doublewrite', 'innodb_flush_method', 'character_set_connection', " +
			"'character_set_client', 'max_allowed_packet', 'read_only', 'super_read_only', 'autocommit')",
		Row: func(row sqldb.Scanner) error {
			var name, value string
			err := row.Scan(&name, &value)
			s.vars[strings.ToLower(name)] = value
			return err
		},
	})
	if err == nil {
		began = time.Now() // the connection is there: what is measured is the way
		err = db.Ask(ctx, clock)
	}
	if err != nil {
		return nil, err
	}
	took := time.Since(began)
	s.clock = time.UnixMilli(now).Sub(began.Add(took / 2))
	return s, nil
}

// minPacket is the least max_allowed_packet with which this package works.
const minPacket = 1 << 20

// usable refuses a server that cannot be used, and sets what depends on it.
func (db *database) usable(s *server) error {
	version, least := s.vars["version"], "8.0"
	name := "MySQL"
	if s.maria() {
		name, least = "MariaDB", "10.6"
		version = strings.TrimPrefix(version, "5.5.5-") // what MariaDB says to old clients
	}
	if older(version, least) {
		return db.o.Invalid(fmt.Sprintf("the server is %s %s; at least %s is needed", name, version, least), nil)
	}
	isolation := s.vars["transaction_isolation"] + s.vars["tx_isolation"]
	for what, good := range map[string]bool{
		"sql_mode is not strict":                        strings.Contains(s.vars["sql_mode"], "STRICT_ALL_TABLES"),
		"the isolation of transactions is " + isolation: strings.Contains(isolation, "REPEATABLE-READ"),
		"character_set_connection is not utf8mb4":       s.vars["character_set_connection"] == "utf8mb4",
	} {
		if !good {
			return db.o.Invalid("a connection does not keep its settings ("+what+"): is there a proxy that shares connections?", nil)
		}
	}
	packet := s.number("max_allowed_packet")
	if packet < minPacket {
		return db.o.Invalid(fmt.Sprintf("max_allowed_packet of the server is %d, at least %d is needed", packet, minPacket), nil)
	}
	db.maxPacket = int(min(packet, 16<<20)) - 1024
	return nil
}

// older compares the first two numbers of versions.
func older(version, least string) bool {
	return weight(version) < weight(least)
}

func weight(version string) (w int) {
	parts := strings.SplitN(version, ".", 3)
	for i := range 2 {
		n := 0
		if i < len(parts) {
			n, _ = strconv.Atoi(parts[i])
		}
		w = w*1000 + n
	}
	return w
}

// clockApart is how much clocks may differ without a word.
const clockApart = 2 * time.Second

// judge says what is wrong with the settings of a server that can be used.
func judge(s *server) (found []sqldb.Finding) {
	loses := func(setting, risk, fix string) {
		found = append(found, sqldb.Finding{Setting: setting, Value: s.vars[setting], Risk: risk, Fix: fix, Loses: true})
	}
	const crash = "when the server or its machine crashes, "
	if v := s.vars["innodb_flush_log_at_trx_commit"]; v != "1" && v != "3" {
		loses("innodb_flush_log_at_trx_commit", crash+"up to a second of acknowledged messages is lost", "set it to 1")
	}
	if s.on("log_bin") && s.vars["sync_binlog"] != "1" {
		loses("sync_binlog", crash+"acknowledged messages are rolled back that are not in the binary log, and replicas lack them", "set it to 1")
	}
	if v := s.vars["innodb_doublewrite"]; v == "OFF" || v == "0" || v == "DETECT_ONLY" {
		loses("innodb_doublewrite", crash+"pages that were half written cannot be repaired", "set it to ON")
	}
	if strings.EqualFold(s.vars["innodb_flush_method"], "nosync") {
		loses("innodb_flush_method", crash+"everything can be lost: nothing is forced to disk", "set it to O_DIRECT")
	}
	warn := func(setting, value, risk, fix string) {
		found = append(found, sqldb.Finding{Setting: setting, Value: value, Risk: risk, Fix: fix})
	}
	if s.on("read_only") || s.on("super_read_only") {
		warn("read_only", "ON", "nothing can be written: the server is a replica", "name the primary in the DSN")
	}
	if n := s.number("max_allowed_packet"); n < 4<<20 {
		warn("max_allowed_packet", strconv.FormatInt(n, 10), "large batches are cut into several packets, which take longer", "set it to 16777216 or more")
	}
	if apart := s.clock.Abs(); apart > clockApart {
		warn("the clock of the server", s.clock.Round(time.Millisecond).String()+" ahead of this machine's",
			"times in logs of both do not fit together, and leases of nodes may end early or late", "let both follow a time server (NTP)")
	}
	return found
}
