package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/roomtide/roomtide/adopt"
	"github.com/roomtide/roomtide/adopt/follow"
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
	var choices []follow.Choice
	err = v.withSource(a, func(c follow.Config) (err error) {
		choices, err = follow.Check(a.ctx, c)
		return err
	})
	switch {
	case err != nil:
	case v.JSON:
		err = printJSON(a.stdout, struct {
			Report *survey.Report  `json:"report"`
			Follow []follow.Choice `json:"follow"`
			Marks  []string        `json:"one_way_marks,omitempty"` // why read marks are not written back
		}{report, choices, adopt.OneWayMarks(m)})
	default:
		color, columns := terminal(a.stdout, a.env)
		err = report.Print(a.stdout, survey.Style{Color: color, Columns: columns, Now: time.Now()})
		for _, why := range adopt.OneWayMarks(m) {
			fmt.Fprintf(a.stdout, "\n%s\n", why)
		}
		printChoices(a.stdout, choices)
	}
	if err == nil && report.Refused > 0 {
		err = exitCode(exitFailed)
	}
	return err
}

// printChoices tells how the tables can be followed while the chat goes on.
func printChoices(w io.Writer, choices []follow.Choice) {
	for _, c := range choices {
		verdict := "possible"
		switch {
		case c.Recommended:
			verdict = "recommended"
		case !c.Possible:
			verdict = "not possible"
		}
		fmt.Fprintf(w, "\nfollowed by %s: %s\n", c.Kind, verdict)
		for _, m := range c.Missing {
			fmt.Fprintf(w, "  missing: %s\n", m)
		}
		if c.Possible {
			fmt.Fprintf(w, "  new rows %s; changes %s; deletions %s\n", c.New, c.Changes, c.Deletions)
			for _, n := range c.Notes {
				fmt.Fprintf(w, "  %s\n", n)
			}
		}
	}
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
