//go:build unix

package doctor

import (
	"io/fs"
	"os/user"
	"strconv"
	"syscall"
)

const hasModes = true

// owners are the names of a file's user and group, their numbers if they have none.
func owners(st fs.FileInfo) (owner, group string) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return "its owner", "of the file"
	}
	owner, group = strconv.Itoa(int(sys.Uid)), strconv.Itoa(int(sys.Gid))
	if u, err := user.LookupId(owner); err == nil {
		owner = u.Username
	}
	if g, err := user.LookupGroupId(group); err == nil {
		group = g.Name
	}
	return owner, group
}
