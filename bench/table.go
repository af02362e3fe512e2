package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// printTable puts the runs under one another, with what they cost in relation
// to the rivals that did the same work.
func printTable(w io.Writer, results []*Result) error {
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, "scenario\tserver\tmessages/s\tus a delivery\t/ floor A\t/ floor B\t/ Node\tack p50\tack p99\tdelivery p99\tKB a connection\tcheck")
	for _, r := range results {
		check := "ok"
		if n := r.Anomalies.total(); n > 0 {
			check = fmt.Sprintf("%d anomalies", n)
		}
		name, server := r.Scenario.Name, r.Server
		if server == "roomtide" && r.Scenario.Proto != "native" {
			server += ", " + r.Scenario.Proto
		}
		if h := r.headline(); h != "" { // the last cell of a line widens no column
			fmt.Fprintf(tw, "%s\t%s\t%s; %s\n", name, server, h, check)
			continue
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\n", name, server, r.cells(results), check)
	}
	fmt.Fprintln(tw)
	return tw.Flush()
}

// cells are the figures between the names and the check.
func (r *Result) cells(results []*Result) string {
	if r.Scenario.Idle {
		return fmt.Sprintf("\t\t\t\t\t\t\t\t%.2f", float64(r.RSSPerIdle)/1024)
	}
	kb := fmt.Sprintf("%.2f", float64(r.RSSPerConn)/1024)
	return fmt.Sprintf("%.0f\t%.3f\t%s\t%s\t%s\t%s\t%s\t%s\t%s", float64(r.Acked)/r.Elapsed.Seconds(), per(r.CPU(), r.Delivered),
		r.ratio(results, floorA), r.ratio(results, floorB), r.ratio(results, onNode), round(r.Ack.P50), round(r.Ack.P99), round(r.Delivery.P99), kb)
}

// ratio is what a delivery cost against a rival in the same scenario.
func (r *Result) ratio(results []*Result, rival string) string {
	for _, f := range results {
		if f.Server == rival && f.Scenario == r.Scenario && f.CPU() > 0 && f.Delivered > 0 && r.Delivered > 0 {
			return fmt.Sprintf("%.2f", per(r.CPU(), r.Delivered)/per(f.CPU(), f.Delivered))
		}
	}
	return ""
}

// headline is what a run was about that has no figures of its own in the table,
// and empty for the others.
func (r *Result) headline() string {
	switch {
	case r.Storm != nil:
		return fmt.Sprintf("%d back in %.1f s, ack p99 %s: %.2f x before", r.Storm.Resumed, r.Storm.All.Seconds(), round(r.Phases[1].Ack.P99), r.change(Phase.ackP99))
	case r.Slow != nil:
		return fmt.Sprintf("delivery p99 %s: %.2f x before and after", round(r.Phases[1].Delivery.P99), r.change(Phase.deliveryP99))
	case r.Scenario.Start:
		return fmt.Sprintf("first ack after %s", round(r.FirstReply.P50))
	}
	return ""
}
