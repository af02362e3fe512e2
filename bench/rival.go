package bench

import (
	_ "embed"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// What a run is measured on, besides a roomtide.
const (
	floorA = "floor A"
	floorB = "floor B"
	onNode = "Socket.IO on Node" // the same chat, in memory
)

// nodeServer is what runs in Node.
//
//go:embed node.mjs
var nodeServer []byte

// rivals are the servers that do the same work in the same run.
func (o *options) rivals(s Scenario) (names []string) {
	if s.Start || s.Storm || s.Slow {
		return nil // they do not come back, and keep nothing to come back to
	}
	if o.floors {
		names = append(names, floorA, floorB)
	}
	if o.node != "" {
		names = append(names, onNode)
	}
	return names
}

// command is how a server is started: a roomtide if it has no name.
func (o *options) command(name, addr, dir string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	switch name {
	case floorA, floorB:
		return exec.Command(self, "bench", "--serve-floor", name[len("floor "):], "--listen", addr), nil
	case onNode:
		script := filepath.Join(dir, "node.mjs")
		if err := os.WriteFile(script, nodeServer, 0o600); err != nil {
			return nil, err
		}
		packages, err := filepath.Abs(o.node)
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(filepath.Join(packages, "node_modules", "socket.io")); err != nil {
			return nil, fmt.Errorf("%w; run npm install socket.io there", err)
		}
		_, port, err := net.SplitHostPort(addr)
		return exec.Command("node", script, packages, port), err
	}
	args := []string{"serve", "--listen", addr, "--data-dir", dir, "--no-rate-limits"}
	if o.devices {
		args = append(args, "--push-log")
	}
	return exec.Command(self, args...), nil
}

// protoOf is what a server is spoken to with in a scenario, natively unless the
// scenario says otherwise.
func protoOf(name string, s Scenario) proto {
	switch name {
	case floorA, floorB:
		return nativeProto{}
	case onNode:
		return socketProto{}
	}
	if p := protos[s.Proto]; p != nil {
		return p
	}
	return nativeProto{}
}
