package sqldb

import (
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
)

// Options are how a database is reached and used.
type Options struct {
	Name string // of the shard, in errors and logs

	// DSN is a URL: mysql://user:password@host:port/database?param=value. A unix
	// socket is the parameter socket. It has a password: it is shown by Masked alone.
	DSN string

	Prefix         string        // of the names of tables; empty: DefaultPrefix
	MaxConns       int           // connections for reading; 0: DefaultConns
	ConnectTimeout time.Duration // 0: DefaultConnectTimeout

	Node       string // name of this node, for whom the database is claimed; empty: it is not
	Deployment string // id of the deployment the database belongs to; empty: not looked at

	// RequireDurable makes settings that can lose what was acknowledged an error.
	RequireDurable bool

	// Shared says that Node is one of several which use the database together: it is
	// not claimed, and not opened where a node uses it alone.
	Shared bool

	// Look opens a database that another node may use: nothing is claimed, stamped or
	// brought up to date.
	Look bool

	Log *slog.Logger // nil: none
}

// Defaults of Options.
const (
	DefaultPrefix         = "roomtide_"
	DefaultConns          = 4
	DefaultConnectTimeout = 10 * time.Second
)

var prefixForm = regexp.MustCompile(`^[a-z][a-z0-9_]{0,30}$`)

// WithDefaults returns the options with their defaults, Invalid if they make no
// sense.
func (o Options) WithDefaults() (Options, error) {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if !prefixForm.MatchString(o.Prefix) {
		return o, o.Invalid(fmt.Sprintf("the prefix %q is not a small letter and up to 30 small letters, digits and _", o.Prefix), nil)
	}
	if o.MaxConns <= 0 {
		o.MaxConns = DefaultConns
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = DefaultConnectTimeout
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Log = o.Log.With("database", o.Name)
	return o, nil
}

// Invalid is the error for settings that make no sense.
func (o *Options) Invalid(text string, err error) error {
	return &chat.Error{Kind: chat.Invalid, Op: "sqldb.open", Subject: o.Name, Text: text, Err: err}
}

// URL parses the DSN, which has one of the schemes. Invalid otherwise; the error
// does not have the password.
func (o *Options) URL(schemes ...string) (*url.URL, error) {
	u, err := url.Parse(o.DSN)
	if err != nil {
		// The error of package url has the text that it could not parse.
		return nil, o.Invalid("the DSN is no URL: characters like @ : / ? # % in the password are written as %40 %3A %2F %3F %23 %25", nil)
	}
	for _, s := range schemes {
		if u.Scheme == s {
			if strings.Trim(u.Path, "/") == "" || strings.Contains(strings.Trim(u.Path, "/"), "/") {
				return nil, o.Invalid("the DSN names no database: "+schemes[0]+"://user:password@host/database", nil)
			}
			return u, nil
		}
	}
	return nil, o.Invalid(fmt.Sprintf("the DSN begins with %q, not with %s://", u.Scheme, strings.Join(schemes, ":// or ")), nil)
}

// Masked is the DSN without its password, to be shown.
func Masked(dsn string) string {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" || u.Opaque != "" {
		scheme, _, ok := strings.Cut(dsn, "://")
		if !ok {
			return "…"
		}
		return scheme + "://…"
	}
	q := u.Query()
	for name := range q {
		if strings.Contains(strings.ToLower(name), "pass") {
			q.Set(name, "xxxxx")
		}
	}
	u.RawQuery = q.Encode()
	return u.Redacted()
}
