package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// Setting is one value of a Config, under all its names.
type Setting struct {
	Key     string // in the file: "tls.cert"
	Default string // as text
	Help    string

	mask  string
	words []string // the only values, nil if there are others
	flag  string   // the flag, if it does not follow from Key
	value reflect.Value
}

// Flag is the setting's flag, without dashes: "tls-cert".
func (s Setting) Flag() string {
	if s.flag != "" {
		return s.flag
	}
	return strings.NewReplacer(".", "-", "_", "-").Replace(s.Key)
}

// Env is the setting's environment variable: "ROOMTIDE_TLS_CERT".
func (s Setting) Env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.Flag(), "-", "_"))
}

// Table is the setting's table in the file, "" for its root.
func (s Setting) Table() string {
	return s.Key[:max(0, strings.LastIndexByte(s.Key, '.'))]
}

// Settings returns every setting of c that has a flag, in order. The list of tables
// that only the file can hold (auth.keys) is not among them.
func (c *Config) Settings() []Setting { return walk("", reflect.ValueOf(c).Elem()) }

func walk(prefix string, v reflect.Value) []Setting {
	var out []Setting
	for i := range v.NumField() {
		f, key := v.Type().Field(i), v.Type().Field(i).Tag.Get("toml")
		_, embedded := f.Tag.Lookup("embed")
		switch {
		case key == "" || f.Tag.Get("kong") == "-":
		case embedded:
			out = append(out, walk(prefix+key+".", v.Field(i))...)
		default:
			out = append(out, Setting{
				Key: prefix + key, Default: f.Tag.Get("default"), Help: f.Tag.Get("help"),
				mask: f.Tag.Get("mask"), flag: f.Tag.Get("flag"), value: v.Field(i),
				words: strings.FieldsFunc(f.Tag.Get("words"), func(r rune) bool { return r == ',' }),
			})
		}
	}
	return out
}

// Text is the value as "roomtide config print" shows it: what is secret is masked.
func (s Setting) Text() string { return s.masked() }

// isList reports whether the setting is a list of tables.
func (s Setting) isList() bool {
	return s.value.Kind() == reflect.Slice && s.value.Type().Elem().Kind() == reflect.Struct
}

// set reads the value from text, as flags, environment and defaults give it.
func (s Setting) set(text string) error {
	switch p := s.value.Addr().Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case *string:
		*p = text
	case *[]string:
		*p = nil
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				*p = append(*p, item)
			}
		}
	case *[]Shard:
		*p = nil
		for dsn := range strings.FieldsSeq(text) {
			*p = append(*p, Shard{DSN: dsn})
		}
	case *bool:
		return parse(p, text, "true or false", strconv.ParseBool)
	case *int:
		return parse(p, text, "a whole number", strconv.Atoi)
	case *float64:
		return parse(p, text, "a number", func(t string) (float64, error) { return strconv.ParseFloat(t, 64) })
	default:
		panic(fmt.Sprintf("config: %s has a type that cannot be set: %T", s.Key, p))
	}
	return nil
}

func parse[T any](p *T, text, want string, f func(string) (T, error)) error {
	v, err := f(text)
	if err != nil {
		return fmt.Errorf("%q is not %s", text, want)
	}
	*p = v
	return nil
}

// toml returns the value as it is written in the file.
func (s Setting) toml() string {
	switch v := s.value.Interface().(type) {
	case string:
		return quote(v)
	case Duration:
		return quote(v.String())
	case []string:
		return list(v)
	case []Shard:
		dsns := make([]string, len(v))
		for i := range v {
			dsns[i] = Mask(v[i].DSN)
		}
		return list(dsns)
	case float64:
		return strings.ToLower(strconv.FormatFloat(v, 'f', -1, 64)) // NaN is nan in TOML
	default:
		return fmt.Sprint(v)
	}
}

func list(items []string) string {
	quoted := make([]string, len(items))
	for i, item := range items {
		quoted[i] = quote(item)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// quote writes a basic string of TOML.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&b, "\\u%04X", r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// Duration is a time.Duration that is written as text, such as "10s", everywhere.
type Duration time.Duration

// UnmarshalText reads what time.ParseDuration reads.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a duration such as 10s or 5m", text)
	}
	*d = Duration(v)
	return nil
}

func (d Duration) String() string { return time.Duration(d).String() }
