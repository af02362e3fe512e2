package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// stamp is the version that "make build" gives the program.
var stamp string

type versionVerb struct{}

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
