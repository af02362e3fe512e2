//go:build !linux

package server

import "net"

func listen(address string) (net.Listener, error) { return net.Listen("tcp", address) }
