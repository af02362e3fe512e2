package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/roomtide/roomtide/adopt"
	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
	"github.com/roomtide/roomtide/adopt/survey"
)

type adoptInit struct {
	adoptFile
	From        string `required:"" placeholder:"ADDRESS" help:"The chat's database: mysql://user:password@host/database, postgres://…, sqlite:/path, or files: csv:/path, jsonl:/path, ndjson:/path."`
	PasswordEnv string `placeholder:"NAME" help:"Environment variable with the password, so that it is in no file."`
	Preset      string `placeholder:"NAME" help:"Schema to take, where several fit."`
	Table       string `placeholder:"NAME" help:"Table of the messages, where it is not recognised."`
	TZ          string `name:"tz" placeholder:"ZONE" help:"Time zone of the application's clock, such as Europe/Berlin. Default: UTC."`
	SessionTZ   string `name:"session-tz" placeholder:"ZONE" help:"Time zone that the application sets in its database sessions, if it does."`
	Charset     string `placeholder:"NAME" help:"Encoding of files that are not UTF-8, such as gbk."`
	Sample      int64  `default:"100000" help:"So many messages are looked at, spread over all; 0 is all."`
	Force       bool   `help:"Replace a file that is there."`
}

func (*adoptInit) Help() string {
	return `Only reads the database. Recognises the schemas of known chats by their columns (docs/adopt.md lists
them), proposes a mapping for others, writes it to a file, and shows what would come of it: twenty
messages, and every class of problem with its count. Nothing goes to a node.

Example:

    roomtide adopt init --from mysql://reader@127.0.0.1/shop --password-env SHOP_PASSWORD --tz Europe/Berlin`
}

func (v *adoptInit) Run(a *app) error {
	if err := v.free(); err != nil {
		return err
	}
	src := mapping.Source{Name: survey.NameOf(v.From), DSN: v.From, PasswordEnv: v.PasswordEnv, SessionTZ: v.SessionTZ, Charset: v.Charset}
	local, remove, err := source.Local(a.ctx, src, a.sourceOptions())
	if err != nil {
		return argument(stopped(a, err))
	}
	found, report, err := v.look(a, local)
	if err = errors.Join(err, remove()); err != nil {
		return argument(stopped(a, err))
	}
	found.Document.Source.DSN, found.Document.Source.Charset = v.From, v.Charset
	// The address may have a password.
	if err := os.WriteFile(v.File, []byte(found.Document.String()), 0o600); err != nil {
		return err
	}
	return v.print(a, found, report)
}

// look makes a mapping and reads by it.
func (v *adoptInit) look(a *app, src mapping.Source) (*survey.Found, *survey.Report, error) {
	found, err := survey.Find(a.ctx, src, survey.Wanted{Preset: v.Preset, Table: v.Table, TZ: v.TZ}, a.sourceOptions())
	if err != nil {
		return nil, nil, err
	}
	m, err := mapping.Parse(v.File, []byte(found.Document.String()))
	if err != nil {
		return nil, nil, err
	}
	report, err := a.survey(m, v.Sample)
	return found, report, err
}

func (v *adoptInit) print(a *app, found *survey.Found, report *survey.Report) error {
	if v.JSON {
		return survey.PrintJSON(a.stdout, found, report)
	}
	color, columns := terminal(a.stdout, a.env)
	style := survey.Style{Color: color, Columns: columns, Now: time.Now()}
	if err := found.Print(a.stdout, style); err != nil {
		return err
	}
	if err := report.Print(a.stdout, style); err != nil {
		return err
	}
	return survey.PrintNext(a.stdout, style, v.File)
}

// free makes sure that no file is lost.
func (v *adoptInit) free() error {
	_, err := os.Stat(v.File)
	switch {
	case errors.Is(err, fs.ErrNotExist) || err == nil && v.Force:
		return nil
	case err != nil:
		return err
	}
	return usageError(v.File + " is there already; --force replaces it, --file names another")
}

// sourceOptions are those of every source that a verb opens.
func (a *app) sourceOptions() source.Options {
	return source.Options{Secret: func(name string) (string, bool) { return variable(a.env, name) }}
}

// survey looks at a source, and prints how far it is on a slow one.
func (a *app) survey(m *mapping.Mapping, sample int64) (*survey.Report, error) {
	s, err := source.Open(a.ctx, m, a.sourceOptions())
	if err != nil {
		return nil, stopped(a, err)
	}
	next := time.Now().Add(progressEvery)
	report, err := survey.Look(a.ctx, s, m, survey.Options{Sample: sample, OneWay: adopt.OneWay(m), Progress: func(done, total int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(progressEvery)
			fmt.Fprintf(a.stderr, "looked at %s of %s messages\n", survey.Number(done), survey.Number(total))
		}
	}})
	if e := s.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, stopped(a, err)
	}
	return report, nil
}
