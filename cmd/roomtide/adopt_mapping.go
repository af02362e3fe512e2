package main

import (
	"os"
	"strings"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/source"
)

// mappingFile is the file that the verbs of adopt work on.
type mappingFile struct {
	File string `name:"file" short:"f" placeholder:"FILE" default:"adopt.toml" help:"How the chat is read."`
}

// load reads the file. Whether it fits the tables is told when the source is opened.
func (f *mappingFile) load() (*mapping.Mapping, error) {
	data, err := os.ReadFile(f.File)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, usageError("there is no " + f.File + `; "roomtide adopt init" makes one`)
		}
		return nil, err
	}
	return mapping.Parse(f.File, data)
}

// variable returns a variable of the environment: passwords and keys of the chat's own.
func (a *app) variable(name string) (string, bool) {
	for _, e := range a.env {
		if have, value, ok := strings.Cut(e, "="); ok && have == name {
			return value, true
		}
	}
	return "", false
}

// sourceOptions are those of every source that a verb opens.
func (a *app) sourceOptions() source.Options { return source.Options{Secret: a.variable} }
