package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

const (
	diskLow    = 1 << 30   // of which operators want to know
	diskNone   = 128 << 20 // with less the node is about to stop writing
	inodesLow  = 1000
	clockSkew  = 30 * time.Second
	fewFitting = 1000 // connections that any site should have room for
)

// machine looks at what the node needs of the system.
func (e *examination) machine() {
	e.descriptors()
	e.disk()
	switch synchronized, known := clock(); {
	case !known:
		e.ok("clock", "%s; this system does not say whether it is right", time.Now().Format(time.DateTime+" -0700"))
	case synchronized:
		e.ok("clock", "%s, in step with the network", time.Now().Format(time.DateTime+" -0700"))
	default:
		e.add(Warn, "clock", time.Now().Format(time.DateTime+" -0700")+", not in step with the network: tokens may end early or late", "timedatectl set-ntp true, or install chrony")
	}
	if e.self != nil {
		if off := time.Since(time.UnixMilli(e.self.Now)).Abs(); off > clockSkew {
			e.add(Warn, "clock", fmt.Sprintf("the clock of the node differs from the clock here by %s", off.Round(time.Second)), "run doctor on the machine of the node")
		}
	}
}

// descriptors compares the connections that are allowed with those that are possible.
func (e *examination) descriptors() {
	files, fit := server.Descriptors()
	whose := "a process that is started here"
	if e.self != nil {
		files, fit, whose = e.self.Files, e.self.Connections, "the node"
	}
	chosen := e.cfg.MaxConnections != config.Default().MaxConnections
	const help = "raise the limit (LimitNOFILE= of systemd, ulimit -n), or lower max_connections"
	switch {
	case files == 0:
		e.ok("descriptors", "without a limit")
	case fit >= e.cfg.MaxConnections:
		e.ok("descriptors", "%s may have %d, enough for max_connections = %d", whose, files, e.cfg.MaxConnections)
	case chosen || fit < fewFitting:
		e.add(Warn, "descriptors", fmt.Sprintf("%s may have %d: %d connections fit, and max_connections is %d", whose, files, fit, e.cfg.MaxConnections), help)
	default:
		e.ok("descriptors", "%s may have %d: %d connections fit", whose, files, fit)
	}
}

// disk looks at the free space below the data dir.
func (e *examination) disk() {
	dir := e.cfg.DataDir
	for dir != filepath.Dir(dir) { // it may not be there yet
		if _, err := os.Stat(dir); err == nil {
			break
		}
		dir = filepath.Dir(dir)
	}
	free, inodes, ok := space(dir)
	if !ok {
		e.ok("disk", "its free space is not known here")
		return
	}
	switch text := fmt.Sprintf("%s free below %s", size(free), dir); {
	case free < diskNone:
		e.add(Fail, "disk", text, "free some: the node reads, and cannot write, on a full disk")
	case free < diskLow:
		e.add(Warn, "disk", text, "free some, or give the data dir a larger disk: each of the databases takes up to 64 MiB besides its data")
	case inodes < inodesLow:
		e.add(Warn, "disk", fmt.Sprintf("room for %d more files below %s", inodes, dir), "delete files that are not needed")
	default:
		e.ok("disk", "%s", text)
	}
}

func size(n uint64) string {
	if n < 10<<30 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d GB", n>>30)
}
