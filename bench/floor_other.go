//go:build !linux

package bench

import "errors"

func newFloor(string) (floor, error) {
	return nil, errors.New("bench: the floors write to sockets the Linux way")
}
