// Package doctor looks at a node from outside, as its operator would: settings, files,
// machine, databases, the running process, and the way to it from the Internet. Each
// finding says what to do. It changes nothing.
package doctor

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

// Level says how serious a finding is.
type Level string

const (
	OK   Level = "ok"
	Warn Level = "warn" // it works, and should be looked at
	Fail Level = "fail" // something does not work, or is open to strangers
)

// Finding is one thing that was looked at.
type Finding struct {
	Section string `json:"section"`
	Check   string `json:"check"`
	Level   Level  `json:"level"`
	Text    string `json:"text"`           // what is so
	Help    string `json:"help,omitempty"` // what to do about it
}

// Options say what to look at.
type Options struct {
	Config  *config.Config // loaded; it need not be right
	Version string         // of this program
	URL     string         // under which browsers reach the node; "": not looked at
	HTTP    *http.Client   // nil: one with the system's roots

	NATSMonitor []string // where NATS servers tell of themselves (http_port); empty: port 8222 of each
}

const (
	sectionProgram   = "program"
	sectionSettings  = "settings"
	sectionFiles     = "files"
	sectionMachine   = "machine"
	sectionDatabases = "databases"
	sectionCluster   = "cluster"
	sectionNode      = "node"
	sectionWay       = "public address"
)

// Examine looks at everything, section by section.
func Examine(ctx context.Context, o Options) []Finding {
	e := &examination{ctx: ctx, Options: o, cfg: o.Config}
	if e.HTTP == nil {
		e.HTTP = &http.Client{Timeout: patience}
	}
	for _, look := range []struct {
		section string
		at      func()
	}{
		{sectionProgram, e.program}, {sectionSettings, e.settings}, {sectionFiles, e.files}, {sectionDatabases, e.databases}, {sectionDatabases, e.redis},
		{sectionNode, e.node}, {sectionCluster, e.cluster}, {sectionMachine, e.machine}, {sectionWay, e.way},
	} {
		e.section = look.section
		look.at()
	}
	return e.found
}

// patience is how long an answer may take.
const patience = 10 * time.Second

// Worst is the most serious level of the findings.
func Worst(fs []Finding) Level {
	worst := OK
	for _, f := range fs {
		if f.Level == Fail || f.Level == Warn && worst == OK {
			worst = f.Level
		}
	}
	return worst
}

// examination is one run. It is used by one goroutine.
type examination struct {
	Options
	ctx context.Context
	cfg *config.Config

	section string
	found   []Finding
	self    *server.Self // what the running node has told, nil if it has not
}

func (e *examination) add(level Level, check, text, help string) {
	e.found = append(e.found, Finding{Section: e.section, Check: check, Level: level, Text: text, Help: help})
}

func (e *examination) ok(check, format string, args ...any) {
	e.add(OK, check, fmt.Sprintf(format, args...), "")
}

func (e *examination) program() {
	e.ok("version", "roomtide %s (%s, %s/%s)", cmp.Or(e.Version, "unknown"), runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// settings reports what Check and Warnings say, and which clients are let in.
func (e *examination) settings() {
	problems := e.cfg.Check()
	for _, p := range problems {
		e.add(Fail, p.Where, p.Text, p.Fix)
	}
	warnings := e.cfg.Warnings()
	for _, w := range warnings {
		text, help, _ := strings.Cut(w, "; ")
		e.add(Warn, "warning", text, help)
	}
	if len(problems) == 0 && len(warnings) == 0 {
		e.ok("settings", "sound, from %s", e.cfg.File())
	}
	switch {
	case len(problems) > 0: // the words may mean nothing
	case e.cfg.GuestsWelcome():
		e.ok("guests", "welcome%s (guests = %q)", map[string]string{"auto": ", from this machine alone"}[e.cfg.Guests], e.cfg.Guests)
	default:
		e.ok("guests", "not welcome (guests = %q)", e.cfg.Guests)
	}
	e.origins()
	e.keySet()
	if len(e.cfg.TrustedProxies) > 0 {
		e.ok("trusted_proxies", "%s", strings.Join(e.cfg.TrustedProxies, ", "))
	} else {
		e.ok("trusted_proxies", "none: clients connect without a proxy")
	}
}

// origins tells which pages may connect, and which entries no browser has: a page over
// HTTPS is of another origin than the same page over HTTP.
func (e *examination) origins() {
	if len(e.cfg.Origins) == 0 {
		e.ok("origins", "pages of the node's own address alone")
		return
	}
	e.ok("origins", "pages of the node's own address, and of %s", strings.Join(e.cfg.Origins, ", "))
	for _, o := range e.cfg.Origins {
		if host, plain := strings.CutPrefix(o, "http://"); plain && !localName(host) {
			e.add(Warn, "origins", o+" is a page over plain HTTP, which others on its way can change", "write https://"+host+", if the page has that")
		}
	}
}

func localName(host string) bool {
	name := strings.ToLower(strings.Split(host, ":")[0])
	return name == "localhost" || strings.HasPrefix(name, "127.") || strings.HasPrefix(host, "[::1]")
}

// redis tells whether Redis lets the node in, for presence and for queues of messages, if
// it is configured.
func (e *examination) redis() {
	ctx, cancel := context.WithTimeout(e.ctx, patience)
	defer cancel()
	switch there, err := server.PingRedis(ctx, e.cfg); {
	case !there: // or the settings are wrong, which they have said
	case err != nil:
		e.add(Warn, "redis", err.Error(), "until it does, the databases are asked who is online; start it, or correct redis in the settings")
	default:
		e.ok("redis", "%s answers", config.Mask(e.cfg.Redis))
	}
	switch there, err := server.PingIngest(ctx, e.cfg); {
	case !there:
	case err != nil:
		e.add(Warn, "ingest.redis", err.Error(), "until it does, messages stay in the queues there; start it, or correct ingest.redis in the settings")
	default:
		e.ok("ingest.redis", "the queues in it can be read")
	}
}

// databases tells whether each can be read, and by which program.
func (e *examination) databases() {
	for i, d := range server.Examine(e.ctx, e.cfg) {
		where := cmp.Or(d.Where, d.Name)
		switch {
		case notFound(d.Err) && i == 0:
			e.add(Warn, d.Name, "there is no database yet in "+e.cfg.DataDir, "start the server once, or name its --data-dir")
		case chat.KindOf(d.Err) == chat.Invalid: // data and program do not fit; it says what to do
			e.add(Fail, d.Name, reason(d.Err), "")
		case d.Err != nil:
			e.add(Fail, d.Name, reason(d.Err), "put it back from a backup, or correct what the message says; \"roomtide check\" verifies the data of a stopped node")
		case d.Version > d.Known:
			e.add(Fail, d.Name, fmt.Sprintf("%s has schema %d, and this program knows %d", where, d.Version, d.Known), "use the newer program, or go back to the backup from before the upgrade")
		case d.Version < d.Known:
			e.add(Warn, d.Name, fmt.Sprintf("%s has schema %d; the next start makes it %d", where, d.Version, d.Known), "make a backup before the next start: an older program refuses it afterwards")
		case d.Known > 0:
			e.ok(d.Name, "%s, schema %d", where, d.Version)
		default:
			e.ok(d.Name, "%s can be reached", where)
		}
	}
}
