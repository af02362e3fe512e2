package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roomtide/roomtide/mover"
	"github.com/roomtide/roomtide/store"
)

type shardsVerb struct {
	List   listShardsVerb  `cmd:"" default:"withargs" help:"List the shards: which slots they own, what they hold, whether they work."`
	Move   moveShardsVerb  `cmd:"" help:"Move slots, with their rooms and users, to other shards while the node serves."`
	Status moveStatusVerb  `cmd:"" help:"Show how far moving is."`
	Pause  pauseShardsVerb `cmd:"" help:"Stop moving until resume. Chat is not affected."`
	Resume resumeVerb      `cmd:"" help:"Go on moving."`
	Abort  abortShardsVerb `cmd:"" help:"Give up moving: the copy is deleted, nothing has changed."`
}

type listShardsVerb struct {
	admin
	JSON bool `name:"json" help:"Print JSON."`
}

func (v *listShardsVerb) Run(a *app) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var answer struct {
		Shards []mover.Shard `json:"shards"`
	}
	if err := o.do(a.ctx, "GET", "/v1/shards", nil, &answer); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, answer)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SHARD\tSLOTS\tROOMS\tROWS\tBYTES\tLAG\tHEALTH\tWHICH SLOTS")
	for _, s := range answer.Shards {
		rooms, rows, bytes, health := "-", "-", "-", "ok"
		if s.Size != nil {
			rooms, rows, bytes = count(s.Rooms), count(s.Rows), size(s.Bytes)
		}
		if !s.Healthy {
			health = s.Error
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%d\t%s\t%s\n", s.Name, s.Count, rooms, rows, bytes, s.Lag, health, short(s.Slots))
	}
	return w.Flush()
}

type moveShardsVerb struct {
	admin
	Slots string   `placeholder:"SLOTS" help:"Slots to move, such as 0-99,200. Default: all of --from."`
	From  []string `placeholder:"NAME" help:"Shards to empty."`
	To    []string `required:"" placeholder:"NAME" help:"Shard to move to; several share the slots evenly."`
	Rate  int      `placeholder:"N" help:"Rows a second. Default: as fast as it goes."`
	Keep  *int     `placeholder:"SECONDS" help:"How long the rows stay in the old shard when the slots have changed hands. Default: 35, longer than any request takes."`
	Yes   bool     `short:"y" help:"Do not ask."`
}

func (*moveShardsVerb) Help() string {
	return `Examples:

    roomtide shards move --slots 0-99,200 --to b
    roomtide shards move --from shard-0.db --to mysql-1,mysql-2 --rate 5000

Clients notice nothing but a pause of less than a second when slots change hands. The command
may be ended: moving goes on in the node, and "roomtide shards status" shows how far it is.`
}

func (v *moveShardsVerb) Run(a *app) error {
	if v.Slots == "" && len(v.From) == 0 {
		return usageError("what shall be moved? --slots SLOTS, or --from NAME for all that a shard has")
	}
	if v.Slots != "" {
		if _, err := store.ParseSlots(v.Slots); err != nil {
			return usageError(words(err))
		}
	}
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	if !v.Yes {
		what := "slots " + v.Slots
		if v.Slots == "" {
			what = "all slots of " + strings.Join(v.From, " and ")
		}
		if err := a.confirm("Move " + what + " to " + strings.Join(v.To, " and ") + " while the node serves?"); err != nil {
			return err
		}
	}
	order := map[string]any{"to": v.To, "rate": v.Rate}
	if v.Slots != "" {
		order["slots"] = v.Slots
	}
	if v.Keep != nil {
		order["keep"] = *v.Keep
	}
	if len(v.From) > 0 {
		order["from"] = v.From
	}
	var moves movesAnswer
	if err := o.do(a.ctx, "POST", "/v1/moves", order, &moves); err != nil {
		return err
	}
	return o.follow(a, moves.Moves[0].ID)
}

// confirm asks before something large is done. Without a terminal there is no answer.
func (a *app) confirm(question string) error {
	if f, ok := a.stdin.(*os.File); ok {
		if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
			return usageError(question + " Add --yes, as there is no terminal to answer on")
		}
	}
	fmt.Fprint(a.stderr, question+" [y/N] ")
	line, err := bufio.NewReader(a.stdin).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(line)) {
	case "y", "yes":
		return nil
	}
	return usageError("nothing was done")
}

type movesAnswer struct {
	Moves []mover.Status `json:"moves"`
}

// showEvery is how often progress is looked at.
const showEvery = 500 * time.Millisecond

// follow shows the progress of the moves from an ID on until they are over.
func (o *orders) follow(a *app, from int64) error {
	fmt.Fprintln(a.stderr, "Moving. This command may be ended with Ctrl-C; moving goes on.")
	shown := ""
	tick := time.NewTicker(showEvery)
	defer tick.Stop()
	for {
		var answer movesAnswer
		if err := o.do(a.ctx, "GET", "/v1/moves", nil, &answer); err != nil {
			if a.ctx.Err() != nil {
				return nil
			}
			return err
		}
		line, over := "", true
		for _, s := range answer.Moves {
			if s.ID < from {
				continue
			}
			if !s.Phase.Over() && line == "" {
				line, over = describe(&s), false
			}
		}
		if line != "" && line != shown {
			fmt.Fprintln(a.stdout, line)
			shown = line
		}
		if over {
			return ended(a, answer.Moves, from)
		}
		select {
		case <-tick.C:
		case <-a.ctx.Done():
			return nil
		}
	}
}

// ended reports what came of the moves.
func ended(a *app, moves []mover.Status, from int64) error {
	for _, s := range moves {
		if s.ID < from {
			continue
		}
		fmt.Fprintln(a.stdout, describe(&s))
		if s.Phase != store.MoveDone {
			return fmt.Errorf("move %d was %s: the slots belong to %s as before", s.ID, s.Phase, s.From)
		}
	}
	return nil
}

// describe is a line about a move.
func describe(s *mover.Status) string {
	b := fmt.Sprintf("move %d  %s -> %s  %s", s.ID, s.From, s.To, s.Phase)
	switch s.Phase {
	case store.MoveCopying:
		b += fmt.Sprintf("  %s of about %s rows, %s", count(s.Rows), count(max(s.Total, s.Rows)), size(s.Bytes))
	case store.MoveVerifying:
		b += fmt.Sprintf("  %s of %s rows compared", count(s.Compared), count(max(s.Rows, s.Compared)))
	case store.MoveCleaning, store.MoveAborting:
		b += fmt.Sprintf("  %s rows deleted", count(s.Deleted))
	case store.MoveDone:
		took := time.Duration(s.Ended-s.Started) * time.Millisecond
		b += fmt.Sprintf("  %s rows, %s, in %s; changes waited for %d ms", count(s.Rows), size(s.Bytes), took.Round(time.Second/10), s.HeldFor)
	}
	if s.PerSecond > 0 && !s.Phase.Over() {
		b += fmt.Sprintf(", %s rows/s", count(s.PerSecond))
	}
	if s.Left > 0 {
		b += ", " + (time.Duration(s.Left) * time.Second).String() + " left"
	}
	if s.Lag > 0 {
		b += fmt.Sprintf(", lag %d", s.Lag)
	}
	if s.Paused {
		b += ", PAUSED"
	}
	if s.Error != "" {
		b += ": " + s.Error
	}
	return b
}

type moveStatusVerb struct {
	admin
	JSON   bool `name:"json" help:"Print JSON."`
	Follow bool `short:"f" help:"Go on until it is over."`
}

func (v *moveStatusVerb) Run(a *app) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var answer movesAnswer
	if err := o.do(a.ctx, "GET", "/v1/moves", nil, &answer); err != nil {
		return err
	}
	if v.JSON {
		return printJSON(a.stdout, answer)
	}
	for _, s := range answer.Moves {
		if v.Follow && !s.Phase.Over() {
			return o.follow(a, s.ID)
		}
		fmt.Fprintln(a.stdout, describe(&s))
	}
	if len(answer.Moves) == 0 {
		fmt.Fprintln(a.stdout, "no slots were ever moved")
	}
	return nil
}

type pauseShardsVerb struct{ admin }

func (v *pauseShardsVerb) Run(a *app) error {
	return v.change(a, "PATCH", map[string]any{"paused": true})
}

type resumeVerb struct {
	admin
	Rate *int `placeholder:"N" help:"Rows a second from now on, 0 for no limit."`
}

func (v *resumeVerb) Run(a *app) error {
	order := map[string]any{"paused": false}
	if v.Rate != nil {
		order["rate"] = *v.Rate
	}
	return v.change(a, "PATCH", order)
}

type abortShardsVerb struct{ admin }

func (v *abortShardsVerb) Run(a *app) error { return v.change(a, "DELETE", nil) }

// change gives an order and prints the moves that it concerns.
func (v *admin) change(a *app, method string, order any) error {
	o, err := v.connect(a)
	if err != nil {
		return err
	}
	defer o.close()
	var answer movesAnswer
	if err := o.do(a.ctx, method, "/v1/moves", order, &answer); err != nil {
		return err
	}
	for _, s := range answer.Moves {
		if !s.Phase.Over() {
			fmt.Fprintln(a.stdout, describe(&s))
		}
	}
	return nil
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// count writes a number with its thousands apart.
func count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short cuts a long list of slots.
func short(slots string) string {
	const most = 40
	if len(slots) <= most {
		return slots
	}
	return slots[:strings.LastIndexByte(slots[:most], ',')] + ",…"
}
