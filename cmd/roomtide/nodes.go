package main

import (
	"cmp"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/roomtide/roomtide/cluster"
)

type nodesVerb struct {
	admin
	JSON bool `name:"json" help:"Print JSON."`
}

func (v *nodesVerb) Run(a *app) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var answer struct {
		Nodes []cluster.Info `json:"nodes"`
	}
	if err := o.do(a.ctx, "GET", "/v1/nodes", nil, &answer); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, answer)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tALIVE\tVERSION\tLANES OF")
	for _, n := range answer.Nodes {
		name, alive, lanes := n.Name, "yes", strings.Join(n.Lanes, " ")
		if n.This {
			name += " (this one)"
		}
		if !n.Alive {
			alive = "no"
		}
		if lanes == "" {
			lanes = "-"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", name, alive, cmp.Or(n.Version, "-"), lanes)
	}
	return w.Flush()
}
