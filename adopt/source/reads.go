package source

import (
	"context"
	"strconv"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
)

// readPrefix begins the keys by which rows with read marks are named: it is followed by the
// number of the section, a colon, and the value of the column that tells the rows.
const readPrefix = "roomtide-read:"

// SplitReads tells keys of messages and those of rows with read marks apart.
func SplitReads(keys []Key) (messages, reads []Key) {
	for _, k := range keys {
		if strings.HasPrefix(string(k), readPrefix) {
			reads = append(reads, k)
		} else {
			messages = append(messages, k)
		}
	}
	return messages, reads
}

// readTables are the tables of read marks that can be followed by a column: each that no
// other section is followed by.
func (s *Tables) readTables(others []Table) (all []Table) {
	taken := map[string]bool{}
	for _, t := range others {
		taken[strings.ToLower(t.Name)] = true
	}
	for i := range s.reads {
		name := s.reads[i].From.Table()
		column, ok := s.toldBy(i)
		if !ok || taken[strings.ToLower(name)] {
			continue
		}
		taken[strings.ToLower(name)] = true
		all = append(all, Table{Name: name, Key: column.Name, Watch: true, Prefix: readPrefix + strconv.Itoa(i) + ":"})
	}
	return all
}

// toldBy is the column by which changed rows of a section of read marks are read again: its
// key, or else the user.
func (s *Tables) toldBy(i int) (*mapping.Column, bool) {
	from := &s.mapping.Reads[i].From
	t := s.tableOf(from)
	if t == nil || from.Table() == "" || from.Glob() {
		return nil, false
	}
	if c := t.Key(); c != nil && s.reads[i].keyed {
		return c, true
	}
	name, plain := from.Column(s.mapping.Reads[i].User)
	c := t.Column(name)
	return c, plain && c != nil
}

// Reads implements Source.
func (s *Tables) Reads(ctx context.Context, after Key, limit int) ([]ReadRow, error) {
	return sections(ctx, s, s.reads, after, limit, s.readRow)
}

// readRow is a row of a section of read marks; it is not ok if it says nothing.
func (s *Tables) readRow(i int, key Key, v map[string]string) (ReadRow, bool) {
	r := ReadRow{Key: key, Section: i, Room: mapping.Names(v["room"]), User: v["user"]}
	ok := s.good("room", r.Room) && s.good("user", r.User) && v["upto"] != ""
	if sec := &s.mapping.Reads[i]; sec.By == "time" {
		var there bool
		r.Time, there = s.time(v["upto"], sec.Unit)
		ok = ok && there
	} else {
		r.Upto = Key(v["upto"])
	}
	return r, ok
}

// ReadsOf implements Source.
func (s *Tables) ReadsOf(ctx context.Context, keys []Key) (all []ReadRow, err error) {
	bySection := map[int][]Key{}
	for _, k := range keys {
		digits, value, _ := strings.Cut(strings.TrimPrefix(string(k), readPrefix), ":")
		if i, err := strconv.Atoi(digits); err == nil && i < len(s.reads) {
			bySection[i] = append(bySection[i], Key(value))
		}
	}
	for i, values := range bySection {
		for len(values) > 0 {
			n := min(len(values), askedKeys)
			rows, err := s.readsAmong(ctx, i, values[:n])
			if err != nil {
				return nil, explained("read", err)
			}
			all, values = append(all, rows...), values[n:]
		}
	}
	return all, nil
}

// readsAmong reads the rows of a section whose column has one of the values.
func (s *Tables) readsAmong(ctx context.Context, i int, values []Key) (all []ReadRow, err error) {
	column, ok := s.toldBy(i)
	if !ok {
		return nil, nil
	}
	sec, kind := &s.reads[i], kindOf(column, s.engine)
	var fields, places []string
	var args []any
	for _, f := range sec.Fields {
		fields = append(fields, s.engine.text(mapping.Expand(f.Expr)))
	}
	for _, v := range values {
		a, err := s.engine.keyArgument(v, kind)
		if err != nil {
			continue // no row has it
		}
		args = append(args, a)
		places = append(places, s.engine.keyParam(len(args), kind, column.Type))
	}
	if len(args) == 0 {
		return nil, nil
	}
	where := " WHERE " + sec.From.Qualifier() + "." + s.engine.Quote(column.Name) + " IN (" + strings.Join(places, ", ") + ")"
	if w := sec.From.Where; w != "" {
		where += " AND (" + w + ")"
	}
	err = s.each(ctx, "SELECT "+strings.Join(fields, ", ")+" "+sec.from+where, args, 0, len(fields), func(_ string, row []value) bool {
		named := map[string]string{}
		for j, f := range sec.Fields {
			if row[j] != nil {
				named[f.Name] = string(row[j])
			}
		}
		if r, ok := s.readRow(i, "", named); ok {
			all = append(all, r)
		}
		return true
	})
	return all, err
}
