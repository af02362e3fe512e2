package main

import (
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/roomtide/roomtide/backup"
	"github.com/roomtide/roomtide/server"
)

type backupVerb struct {
	Make   makeBackupVerb   `cmd:"" default:"withargs" help:"Copy the data of a node."`
	Verify verifyBackupVerb `cmd:"" help:"Compare a backup with its manifest."`
}

type makeBackupVerb struct {
	place
	Target string `arg:"" help:"Directory to make, or an empty one; or a file whose name ends in .tar, .tar.gz or .tgz."`
	Rate   int64  `default:"100" placeholder:"MIB" help:"How many MiB to copy in a second at most, so that the node has the disk for its own work; 0 for no limit."`
	JSON   bool   `name:"json" help:"Print the manifest, as JSON, instead of words."`
}

func (*makeBackupVerb) Help() string {
	return `The node goes on: what it commits is held up for some milliseconds, and the backup is of that
instant, for all databases together. It has the keys of the node: keep it as secret as them.
Databases on a server are backed up with its own tools; docs/operations.md says how.

Examples:

    roomtide backup /srv/backup/chat-monday --data-dir /var/lib/roomtide
    roomtide backup /srv/backup/chat.tar.gz --data-dir /var/lib/roomtide
    roomtide backup verify /srv/backup/chat.tar.gz`
}

func (v *makeBackupVerb) Run(a *app) error {
	if v.Rate < 0 {
		return usageError("--rate is how many MiB to copy in a second, or 0")
	}
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	p := newProgress(a.stderr)
	m, err := server.Backup(a.ctx, cfg, v.Target, backup.Job{Program: version(), Rate: v.Rate << 20, Progress: p.tell})
	if err != nil {
		return err
	}
	return printManifest(a.stdout, m, v.JSON, fmt.Sprintf("%s has the data of %s as of %s: %s", v.Target, cfg.DataDir, local(m.Taken), contents(m)))
}

type verifyBackupVerb struct {
	Target string `arg:"" help:"The backup."`
	JSON   bool   `name:"json" help:"Print the manifest, as JSON, instead of words."`
}

func (v *verifyBackupVerb) Run(a *app) error {
	p := newProgress(a.stderr)
	m, err := backup.Verify(a.ctx, v.Target, p.tell)
	if err != nil {
		return err
	}
	return printManifest(a.stdout, m, v.JSON, fmt.Sprintf("%s is as it was written on %s: %s", v.Target, local(m.Taken), contents(m)))
}

func local(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }

// contents says what is in a backup.
func contents(m *backup.Manifest) string {
	return fmt.Sprintf("%d files, %s", len(m.Files), size(m.Bytes()))
}

func printManifest(w io.Writer, m *backup.Manifest, asJSON bool, words string) error {
	if !asJSON {
		_, err := fmt.Fprintln(w, words)
		return err
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(m)
}

// size is a number of bytes with its unit.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)/1024)
}

// progressEvery is how often progress is printed: short work prints none.
const progressEvery = 2 * time.Second

// progress prints how far the work on a backup is, a line now and then.
type progress struct {
	w    io.Writer
	next time.Time
}

func newProgress(w io.Writer) *progress { return &progress{w: w, next: time.Now().Add(progressEvery)} }

func (p *progress) tell(at backup.Progress) {
	if time.Now().Before(p.next) {
		return
	}
	p.next = time.Now().Add(progressEvery)
	of := ""
	if at.Total > 0 {
		of = fmt.Sprintf(" of %s, %d %%", size(at.Total), at.Done*100/at.Total)
	}
	fmt.Fprintf(p.w, "%s%s (%s)\n", size(at.Done), of, at.File)
}
