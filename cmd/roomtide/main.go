// Command roomtide runs a chat node and the small tools around it: each verb is
// a file of its own here, and only combines what the packages below do.
//
// Exit codes: 0 done, 1 failed, 2 the command line or the settings are wrong.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
)

const (
	exitFailed = 1
	exitUsage  = 2
)

// cli is every verb; kong reads the tags.
type cli struct {
	Serve      serveVerb      `cmd:"" help:"Run a node."`
	Witness    witnessVerb    `cmd:"" help:"Run the third NATS server of a cluster of two nodes."`
	Token      tokenVerb      `cmd:"" help:"Make a token for a user, or end those that it has."`
	Key        keyVerb        `cmd:"" help:"Add, list and revoke API keys of your back end."`
	Config     configVerb     `cmd:"" help:"Check, print or document the settings."`
	Send       sendVerb       `cmd:"" help:"Send messages to a room."`
	Tail       tailVerb       `cmd:"" help:"Print the messages of a room as they come."`
	Push       pushVerb       `cmd:"" help:"Tools around push notifications."`
	Bench      benchVerb      `cmd:"" help:"Measure how fast a node is on this machine."`
	Nodes      nodesVerb      `cmd:"" help:"List the nodes that work together, and whose lanes each of them has."`
	Shards     shardsVerb     `cmd:"" help:"List the databases of a running node, and move rooms between them."`
	Control    controlVerb    `cmd:"" help:"The control database of a stopped node: move it to another place."`
	Webhook    webhookVerb    `cmd:"" help:"Webhooks of a running node: events for your back end."`
	Check      checkVerb      `cmd:"" help:"Verify the data of a stopped node."`
	Doctor     doctorVerb     `cmd:"" help:"Look for what is wrong with a node and its surroundings."`
	Rebuild    rebuildVerb    `cmd:"" help:"Rebuild the room lists of users, on a stopped node."`
	Room       roomVerb       `cmd:"" help:"List, make, change and delete rooms of a running node."`
	Member     memberVerb     `cmd:"" help:"Who is in a room, and as what: add, remove, ban."`
	User       userVerb       `cmd:"" help:"Profiles, tokens and messages of users."`
	Backup     backupVerb     `cmd:"" help:"Copy the data of a node, which may be running, or verify a copy."`
	Restore    restoreVerb    `cmd:"" help:"Put a backup back as a new data dir."`
	Export     exportVerb     `cmd:"" help:"Write rooms and users of a stopped node to a file."`
	Import     importVerb     `cmd:"" help:"Read an export into a stopped node."`
	Adopt      adoptVerb      `cmd:"" help:"Move a live chat in: its tables, beside which it goes on."`
	Version    versionVerb    `cmd:"" help:"Print the version."`
	Completion completionVerb `cmd:"" help:"Print the script by which a shell completes command lines."`
	Help       helpVerb       `cmd:"" help:"Explain a verb."`

	VersionFlag versionFlag `name:"version" short:"v" help:"Print the version."`
}

// app is the environment of a verb.
type app struct {
	ctx    context.Context // ends at the first SIGINT or SIGTERM
	env    []string        // as os.Environ
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	given  []string // names of the flags on the command line
}

// usageError is a command line that parses and still makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) }

// argument is the error of what was given on the command line: about a value that
// nothing could make right, it is a usageError.
func argument(err error) error {
	switch chat.KindOf(err) {
	case chat.Invalid, chat.TooLarge:
		return usageError(words(err))
	}
	return err
}

// longest bounds arguments whose limit is the node's, which may have been raised.
const longest = 4 << 10

// checkUser and checkRoom check ids that name what may exist.
func checkUser(s string) error {
	return argument(chat.CheckRef("user", s, longest))
}

func checkRoom(s string) error {
	return argument(chat.CheckRef("room", s, longest))
}

func main() {
	ctx, stop := untilSignal(os.Exit)
	code := run(&app{ctx: ctx, env: os.Environ(), stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs the verb that args name and returns the exit code.
func run(a *app, args []string) int {
	helped := false
	parser, err := kong.New(&cli{}, kong.Name("roomtide"),
		kong.Description("Self-hosted real-time chat: one program, no services needed. \"roomtide serve\" is all it takes to begin."),
		kong.Writers(a.stdout, a.stderr),
		kong.Exit(func(int) { helped = true }), // called after help or the version was printed
		kong.Help(printHelp),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.Bind(a))
	if err != nil {
		panic(err) // the tags are wrong: every start fails
	}
	if len(args) == 0 {
		parser.Stdout = a.stderr
		_, _ = parser.Parse([]string{"--help"})
		return exitUsage
	}
	k, err := parser.Parse(args)
	switch {
	case helped:
		return 0
	case err != nil:
		fmt.Fprintf(a.stderr, "roomtide: %v; \"roomtide %s\" tells more\n", err, helpFor(err))
		return exitUsage
	}
	for _, p := range k.Path {
		if p.Flag != nil {
			a.given = append(a.given, p.Flag.Name)
		}
	}
	return a.report(k.Run())
}

// helpFor is the command line that explains the verb of a failed one.
func helpFor(err error) string {
	var pe *kong.ParseError
	if errors.As(err, &pe) && pe.Context != nil && pe.Context.Selected() != nil {
		return strings.TrimPrefix(pe.Context.Selected().FullPath(), "roomtide ") + " --help"
	}
	return "--help"
}

// report prints the error, if any, and returns the exit code.
func (a *app) report(err error) int {
	var problems config.Problems
	var usage usageError
	var code exitCode
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.As(err, &problems):
		fmt.Fprintf(a.stderr, "roomtide: the settings are wrong:\n  %s\n", strings.ReplaceAll(problems.Error(), "\n", "\n  "))
		return exitUsage
	case errors.As(err, &usage):
		fmt.Fprintf(a.stderr, "roomtide: %v\n", err)
		return exitUsage
	}
	fmt.Fprintf(a.stderr, "roomtide: %s\n", words(err))
	return exitFailed
}

// words is the message for an error: its text for clients if it has one, with its
// cause, as the reader of this output is the operator. Several errors are a line each.
func words(err error) string {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var lines []string
		for _, e := range many.Unwrap() {
			lines = append(lines, words(e))
		}
		return strings.Join(lines, "\n  ")
	}
	var e *chat.Error
	switch {
	case !errors.As(err, &e) || e.Text == "":
		return err.Error()
	case e.Err != nil:
		return e.Text + " (" + strings.Join(strings.Fields(e.Err.Error()), " ") + ")"
	}
	return e.Text
}

// untilSignal returns a context that ends at the first SIGINT or SIGTERM; the
// second one leaves at once through exit.
func untilSignal(exit func(int)) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals, done := make(chan os.Signal, 2), make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		for _, then := range []func(){cancel, func() { exit(exitFailed) }} {
			select {
			case <-signals:
				then()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel() }
}
