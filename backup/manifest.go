// Package backup writes the databases of a deployment to a directory or an archive,
// verifies what was written, and puts it back.
//
// A backup is the files of a data directory as of one instant (store.Snapshot), and a
// manifest that describes them with their checksums:
//
//	manifest.json
//	shard-0.db…, control.db                 each one whole, without a write-ahead log
//	token.key, webpush.key, roomtide.toml   if the data directory has them
//
// An archive (.tar, .tar.gz, .tgz) holds the same, with the manifest as its last file.
// What is written gets its name when it is whole and on the disk; what fails leaves
// nothing. Files are for their owner alone: they have the keys of the deployment.
//
// The package knows nothing of SQL, and not how a deployment goes on from an earlier
// state: store.Store.Rebase does that, which is called before what was restored gets
// its name.
package backup

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/store"
)

// ManifestFile is the name of the manifest in a backup.
const ManifestFile = "manifest.json"

// format is the version of the layout of a backup.
const format = 1

// Kinds of files.
const (
	Database = "database"
	Key      = "key"
	Settings = "settings"
)

// Manifest describes a backup.
type Manifest struct {
	Format  int        `json:"format"`
	Program string     `json:"program"` // version of the program that has written it
	Taken   time.Time  `json:"taken"`   // what was committed before is in it
	Map     MapVersion `json:"map"`
	Files   []File     `json:"files"`
}

// MapVersion says which slot map the databases belong to.
type MapVersion struct {
	Version int64    `json:"version"`
	Base    chat.Rev `json:"base"` // store.Map.Base
	Shards  []string `json:"shards"`
}

// File describes one file of a backup.
type File struct {
	Name   string `json:"name"`
	Kind   string `json:"kind"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"` // hexadecimal

	Schema int64  `json:"schema,omitempty"` // of a database: version of its tables
	Lanes  []Lane `json:"lanes,omitempty"`  // of a shard
}

// Lane says where a lane stands in a shard.
type Lane struct {
	Lane     store.LaneID `json:"lane"`
	Epoch    int64        `json:"epoch"`
	Position int64        `json:"position"`
}

// Bytes is the size of all files.
func (m *Manifest) Bytes() (n int64) {
	for i := range m.Files {
		n += m.Files[i].Bytes
	}
	return n
}

// parseManifest refuses what is no manifest, and names that lead out of the backup.
func parseManifest(text []byte) (*Manifest, error) {
	var m Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, damaged(ManifestFile, "is damaged", err)
	}
	if m.Format != format {
		return nil, damaged(ManifestFile, fmt.Sprintf("is of format %d, and this program reads %d: use the program that has written it (%s)", m.Format, format, m.Program), nil)
	}
	var names []string
	for _, f := range m.Files {
		if !plain(f.Name) || f.Name == ManifestFile || slices.Contains(names, f.Name) || f.Bytes < 0 {
			return nil, damaged(ManifestFile, fmt.Sprintf("is damaged: it lists a file %q", f.Name), nil)
		}
		names = append(names, f.Name)
	}
	for _, shard := range m.Map.Shards {
		if !slices.Contains(names, shard) {
			return nil, damaged(ManifestFile, fmt.Sprintf("is damaged: it lists no file of the shard %s", shard), nil)
		}
	}
	return &m, nil
}

func (m *Manifest) file(name string) *File {
	i := slices.IndexFunc(m.Files, func(f File) bool { return f.Name == name })
	if i < 0 {
		return nil
	}
	return &m.Files[i]
}

// plain reports whether the name is one of a file in the backup itself.
func plain(name string) bool {
	return name != "" && name == filepath.Base(name) && filepath.IsLocal(name) && name[0] != '.'
}

// damaged says that a file of a backup is not as it was written.
func damaged(name, what string, err error) error {
	return &chat.Error{Kind: chat.Invalid, Op: "backup.read", Subject: name, Text: name + " " + what, Err: err}
}

// Progress is how far the work on a backup is.
type Progress struct {
	File        string
	Done, Total int64 // bytes of all files; Total is 0 while it is not known
}
