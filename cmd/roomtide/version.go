package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/alecthomas/kong"
)

// stamp is the version that "make build" gives the program.
var stamp string

type versionVerb struct{}

// versionFlag is --version, in place of a verb or after one.
type versionFlag bool

// BeforeReset runs before anything that the line asks for, and ends it.
func (versionFlag) BeforeReset(k *kong.Kong, a *app) error {
	err := new(versionVerb).Run(a)
	k.Exit(0)
	return err
}

func (*versionVerb) Run(a *app) error {
	_, err := fmt.Fprintf(a.stdout, "roomtide %s (%s, %s/%s)\n", version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// version is the stamp, else what the Go tool wrote into the program.
func version() string {
	if stamp != "" {
		return stamp
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "unknown"
	}
	return info.Main.Version
}
