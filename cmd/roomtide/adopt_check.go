package main

import (
	"time"

	"github.com/roomtide/roomtide/adopt/survey"
)

type adoptCheckVerb struct {
	mappingFile
	Sample int64 `default:"0" help:"So many messages are looked at, spread over all; 0 is all."`
	JSON   bool  `name:"json" help:"Print one JSON object."`
}

func (*adoptCheckVerb) Help() string {
	return `Reads the whole chat as adopt.toml says, without a node, and tells what will not fit and what to do.
Exits with 1 if messages would be left out.

Example:

    roomtide adopt check --file shop.toml`
}

func (v *adoptCheckVerb) Run(a *app) error {
	m, err := v.load()
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
