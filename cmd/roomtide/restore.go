package main

import (
	"fmt"

	"github.com/roomtide/roomtide/server"
)

type restoreVerb struct {
	place
	Backup string `arg:"" optional:"" help:"The backup: a directory or an archive that \"roomtide backup\" has written."`
	Mark   bool   `help:"Put nothing back: mark the databases of --data-dir as put back with the database server's own tools."`
	JSON   bool   `name:"json" help:"Print the manifest of the backup, as JSON, instead of words."`
}

func (*restoreVerb) Help() string {
	return `The data dir does not exist or is empty. Everything is verified before it gets its place. All
clients start over when they come back (reset): those that had seen what was written after the backup
too, whose place in a room would otherwise be that of other messages.

Run it as the user of the node. API keys that were revoked and tokens that were ended since the
backup are good again: revoke and end them once more.

Examples:

    sudo -u roomtide roomtide restore /srv/backup/chat-monday --data-dir /var/lib/roomtide
    roomtide restore chat.tar.gz --data-dir ./rehearsal && roomtide serve --data-dir ./rehearsal
    roomtide restore --mark --data-dir /var/lib/roomtide    # after pg_restore, mysql < dump …`
}

func (v *restoreVerb) Run(a *app) error {
	switch {
	case v.Backup == "" && !v.Mark:
		return usageError("which backup? give its directory or archive (or --mark, for databases that were put back with other tools)")
	case v.Backup != "" && v.Mark:
		return usageError("--mark is for databases that were put back with other tools: leave out the backup or --mark")
	}
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	if v.Mark {
		if err := server.Rebase(a.ctx, cfg); err != nil {
			return err
		}
		_, err := fmt.Fprintln(a.stdout, "marked: clients start over when the node is started")
		return err
	}
	p := newProgress(a.stderr)
	m, wrong, err := server.Restore(a.ctx, cfg, v.Backup, p.tell)
	if err != nil {
		return err
	}
	if err := printManifest(a.stdout, m, v.JSON, fmt.Sprintf("%s is restored as of %s: %s", cfg.DataDir, local(m.Taken), contents(m))); err != nil {
		return err
	}
	for _, line := range wrong {
		fmt.Fprintln(a.stderr, line)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d things were wrong with the data when it was backed up", len(wrong))
	}
	return nil
}
