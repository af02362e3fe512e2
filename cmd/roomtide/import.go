package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/roomtide/roomtide/server"
	"github.com/roomtide/roomtide/store"
	"github.com/roomtide/roomtide/transfer"
)

type importVerb struct {
	place
	File     string            `arg:"" optional:"" help:"File that \"roomtide export\" has made. Default: standard input, which is copied into the data dir first."`
	Existing transfer.Existing `enum:"refuse,skip,replace" default:"refuse" help:"Rooms that exist with other content: refuse to import anything, skip these rooms, or replace their content."`
}

func (*importVerb) Help() string {
	return `Reads an export into the databases of a stopped node. The whole file is verified before anything is
written. An import that was interrupted goes on when it is run again, and one that was finished
changes nothing then. Users who exist keep their profiles, unless rooms are replaced too.

Examples:

    roomtide import chat.jsonl
    gunzip -c chat.jsonl.gz | roomtide import --existing skip`
}

func (v *importVerb) Run(a *app) error {
	cfg, err := v.load(a)
	if err != nil {
		return err
	}
	return server.WithStore(a.ctx, cfg, func(st *store.Store) error {
		file, err := v.open(a, cfg.DataDir)
		if err != nil {
			return err
		}
		r, err := transfer.Import(a.ctx, st, file, v.Existing, a.progress())
		if err := errors.Join(err, file.Close()); err != nil {
			return v.failed(a, &r, err)
		}
		_, err = fmt.Fprintf(a.stdout, "done: %d rooms are new, %d were replaced, %d were there already, %d left as they were; %d users kept other profiles; %d rows written\n",
			r.New, r.Replaced, r.Same, r.Skipped, r.Kept, r.Written)
		return err
	})
}

// failed adds to err what is to be done about it.
func (v *importVerb) failed(a *app, r *transfer.Result, err error) error {
	err = stopped(a, err)
	if r.Written > 0 {
		err = fmt.Errorf("%w; %d rows were written: the same import goes on where it was", err, r.Written)
	}
	return err
}

// open opens the file. Standard input is read to its end first, since an import
// reads twice.
func (v *importVerb) open(a *app, dir string) (io.ReadSeekCloser, error) {
	if v.File != "" && v.File != "-" {
		return os.Open(v.File)
	}
	f, err := os.CreateTemp(dir, "import.*.jsonl")
	if err != nil {
		return nil, err
	}
	spool := &spoolFile{f}
	if _, err = io.Copy(f, a.stdin); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(err, spool.Close())
	}
	return spool, nil
}

// spoolFile is a file that goes when it is closed.
type spoolFile struct{ *os.File }

func (f *spoolFile) Close() error { return errors.Join(f.File.Close(), os.Remove(f.Name())) }
