package main

import (
	"os"
	"time"

	"github.com/roomtide/roomtide/adopt/mapping"
	"github.com/roomtide/roomtide/adopt/survey"
)

type adoptCheck struct {
	adoptFile
	Sample int64 `default:"0" help:"So many messages are looked at, spread over all; 0 is all."`
}

func (*adoptCheck) Help() string {
	return `Reads the whole chat as adopt.toml says, without a node, and tells what will not fit and what to do.
Exits with 1 if messages would be left out.

Example:

    roomtide adopt check --file shop.toml`
}

func (v *adoptCheck) Run(a *app) error {
	m, err := v.mapping()
	if err != nil {
		return argument(err)
	}
	report, err := a.survey(m, v.Sample)
	if err != nil {
		return argument(err)
	}
	if v.JSON {
		err = survey.PrintJSON(a.stdout, nil, report)
	} else {
		color, columns := terminal(a.stdout, a.env)
		err = report.Print(a.stdout, survey.Style{Color: color, Columns: columns, Now: time.Now()})
	}
	if err == nil && report.Refused > 0 {
		err = exitCode(exitFailed)
	}
	return err
}

// mapping reads the file. Whether it fits the tables is told when the source is opened.
func (v *adoptFile) mapping() (*mapping.Mapping, error) {
	data, err := os.ReadFile(v.File)
	if os.IsNotExist(err) {
		return nil, usageError("there is no " + v.File + `; "roomtide adopt init" makes one`)
	}
	if err != nil {
		return nil, err
	}
	return mapping.Parse(v.File, data)
}
