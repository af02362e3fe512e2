package source

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"slices"
	"strconv"
)

// Bounds of a page.
const (
	pageBytes = 8 << 20 // a page ends when it has so much
	askedKeys = 500     // keys in one statement
)

// value is one value of a row; nil is NULL.
type value = sql.RawBytes

// Rows implements Source.
func (s *Tables) Rows(ctx context.Context, after Key, limit int) ([]Row, error) {
	for {
		rows, last, err := s.page(ctx, after, limit)
		if f, _ := faultOf(err); err != nil && f == rowData {
			rows, last, err = s.careful(ctx, after, limit)
		}
		if err != nil {
			return nil, explained("message", err)
		}
		if len(rows) > 0 || last == after {
			return rows, nil
		}
		after = last // all of the page are of the kind skip
	}
}

// page reads one page in one statement. last is the key of the last row that was read,
// also if it is none of the messages, and after if there was none.
func (s *Tables) page(ctx context.Context, after Key, limit int) (page []Row, last Key, err error) {
	m := &s.messages
	var args []any
	if after != "" {
		if args, err = m.arguments(after); err != nil {
			return nil, "", err
		}
	}
	last = after
	size := 0
	err = s.each(ctx, m.page(m.fields, after != "", limit), args, 2, len(m.fields), func(key string, values []value) bool {
		for _, v := range values {
			size += len(v)
		}
		if len(page) > 0 && page[len(page)-1].Key == Key(key) {
			p := &page[len(page)-1]
			p.Problems = append(p.Problems, Problem{Class: Twice, Field: "join"})
			return true
		}
		last = Key(key)
		if row, ok := s.row(last, values, nil); ok {
			page = append(page, row)
		}
		return size < pageBytes
	})
	return page, last, err
}

// each runs a statement and calls f with each row: its key, and n values behind the
// first ones. The values are valid during the call. It ends when f returns false.
func (s *Tables) each(ctx context.Context, statement string, args []any, before, n int, f func(key string, values []value) bool) error {
	rows, err := s.db.QueryContext(ctx, statement, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	values := make([]value, before+n)
	into := make([]any, len(values))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return err
		}
		if !f(string(values[0]), values[before:]) {
			return rows.Close()
		}
	}
	return rows.Err()
}

// careful reads a page in which an expression fails: the keys first, and then the rows
// by them.
func (s *Tables) careful(ctx context.Context, after Key, limit int) ([]Row, Key, error) {
	m := &s.messages
	var args []any
	var err error
	if after != "" {
		if args, err = m.arguments(after); err != nil {
			return nil, "", err
		}
	}
	var keys []Key
	err = s.each(ctx, m.page(nil, after != "", min(limit, askedKeys)), args, 2, 0, func(key string, _ []value) bool {
		if len(keys) == 0 || keys[len(keys)-1] != Key(key) {
			keys = append(keys, Key(key))
		}
		return true
	})
	if f, code := faultOf(err); err != nil && f == rowData {
		err = invalid("message.where or message.join fails on some rows (%s): write it so that it is true or false for every row", code)
	}
	if err != nil || len(keys) == 0 {
		return nil, after, err
	}
	found, err := s.some(ctx, keys)
	if err != nil {
		return nil, after, err
	}
	byKey := make(map[Key]Row, len(found))
	for _, r := range found {
		byKey[r.Key] = r
	}
	page := make([]Row, 0, len(found))
	for _, k := range keys {
		if r, ok := byKey[k]; ok {
			page = append(page, r)
		}
	}
	return page, keys[len(keys)-1], nil
}

// ByKeys implements Source.
func (s *Tables) ByKeys(ctx context.Context, keys []Key) ([]Row, error) {
	var all []Row
	keys = slices.DeleteFunc(slices.Clone(keys), func(k Key) bool {
		_, err := s.engine.keyArgument(k, s.messages.kind)
		return err != nil // no row has it
	})
	for len(keys) > 0 {
		n := min(len(keys), askedKeys)
		some, err := s.some(ctx, keys[:n])
		if err != nil {
			return nil, explained("message", err)
		}
		all, keys = append(all, some...), keys[n:]
	}
	return all, nil
}

// some reads rows by their keys. Where an expression fails, halves are tried, down to
// the row that it fails on.
func (s *Tables) some(ctx context.Context, keys []Key) ([]Row, error) {
	m := &s.messages
	args, err := m.arguments(keys...)
	if err != nil {
		return nil, err
	}
	var found []Row
	at := map[Key]int{}
	err = s.each(ctx, m.byKeys(m.fields, len(keys)), args, 2, len(m.fields), func(key string, values []value) bool {
		if i, twice := at[Key(key)]; twice {
			found[i].Problems = append(found[i].Problems, Problem{Class: Twice, Field: "join"})
			return true
		}
		if row, ok := s.row(Key(key), values, nil); ok {
			at[row.Key] = len(found)
			found = append(found, row)
		}
		return true
	})
	f, _ := faultOf(err)
	switch {
	case err == nil:
		return found, nil
	case f != rowData:
		return nil, err
	case len(keys) == 1:
		return s.failing(ctx, keys[0])
	}
	half := len(keys) / 2
	first, err := s.some(ctx, keys[:half])
	if err != nil {
		return nil, err
	}
	second, err := s.some(ctx, keys[half:])
	return append(first, second...), err
}

// failing reads a row field by field, and lists the expressions that fail on it.
func (s *Tables) failing(ctx context.Context, key Key) ([]Row, error) {
	m := &s.messages
	args, err := m.arguments(key)
	if err != nil {
		return nil, err
	}
	there := false
	err = s.each(ctx, m.byKeys(nil, 1), args, 2, 0, func(string, []value) bool { there = true; return false })
	if f, _ := faultOf(err); err != nil && f == rowData || err == nil && !there {
		return nil, nil // it is no value of the key's type, such as a UUID: no row has it
	}
	if err != nil {
		return nil, err
	}
	values := make([]value, len(m.fields))
	var problems []Problem
	for i, field := range m.fields {
		err := s.each(ctx, m.byKeys([]string{field}, 1), args, 2, 1, func(_ string, v []value) bool {
			if v[0] != nil {
				values[i] = append(value{}, v[0]...)
			}
			return false
		})
		f, code := faultOf(err)
		switch {
		case err != nil && f == rowData:
			problems = append(problems, Problem{Class: Expression, Field: m.section.Fields[i].Name, Detail: code, Refused: true})
		case err != nil:
			return nil, err
		}
	}
	if row, ok := s.row(key, values, problems); ok {
		return []Row{row}, nil
	}
	return nil, nil
}

// Bounds implements Source.
func (s *Tables) Bounds(ctx context.Context) (first, last Key, count int64, err error) {
	m := &s.messages
	for _, t := range m.tables {
		column := m.column(t)
		lowest, err := s.end(ctx, t, column, "ASC")
		if err != nil {
			return "", "", 0, err
		}
		highest, err := s.end(ctx, t, column, "DESC")
		if err != nil {
			return "", "", 0, err
		}
		if lowest != "" && (first == "" || m.less(lowest, first)) {
			first = lowest
		}
		if highest != "" && (last == "" || m.less(last, highest)) {
			last = highest
		}
		err = s.each(ctx, "SELECT "+s.engine.text("COUNT(*)")+" "+m.from(t)+m.where(""), nil, 1, 0, func(n string, _ []value) bool {
			rows, _ := strconv.ParseInt(n, 10, 64) // COUNT is a number
			count += rows
			return true
		})
		if err != nil {
			return "", "", 0, explained("message", err)
		}
	}
	return first, last, count, nil
}

// end is the first or the last key of a table, "" if it has none.
func (s *Tables) end(ctx context.Context, table, column, order string) (key Key, err error) {
	m := &s.messages
	err = s.each(ctx, fmt.Sprintf("SELECT %s %s%s ORDER BY %s %s LIMIT 1", m.engine.keyText(column, m.kind), m.from(table), m.where(""), column, order),
		nil, 1, 0, func(k string, _ []value) bool { key = Key(k); return true })
	if err != nil {
		err = explained("message", err)
	}
	return key, err
}

// less orders keys of several tables as far as it can be known outside of the database.
func (m *messages) less(a, b Key) bool {
	if m.kind != keyInteger {
		return a < b
	}
	return number(a) < number(b)
}

func number(k Key) float64 {
	f, err := strconv.ParseFloat(string(k), 64)
	if err != nil {
		return math.Inf(-1)
	}
	return f
}

// Spread returns up to n keys that lie evenly between the first and the last one of
// whole numbers, where samples begin; of others, the first alone.
func (s *Tables) Spread(first, last Key, n int) []Key {
	a, errA := strconv.ParseInt(string(first), 10, 64)
	b, errB := strconv.ParseInt(string(last), 10, 64)
	if s.messages.kind != keyInteger || errA != nil || errB != nil || b <= a || n < 2 {
		return []Key{""}
	}
	keys := []Key{""}
	for i := 1; i < n; i++ {
		k := Key(strconv.FormatInt(a+int64(float64(b-a)/float64(n)*float64(i)), 10))
		if k != keys[len(keys)-1] {
			keys = append(keys, k)
		}
	}
	return keys
}
