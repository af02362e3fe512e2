//go:build !unix

package doctor

import "io/fs"

const hasModes = false

func owners(fs.FileInfo) (owner, group string) { return "its owner", "" }
