package doctor

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

// Modes of files: what others than the owner may do.
const (
	othersRead  = 0o004
	othersEnter = 0o001
	groupRead   = 0o040
	strangers   = 0o077
	writable    = 0o022 // by the group or by others
)

// keyFile is a file with a secret or a key in it.
type keyFile struct {
	name   string // the setting, or token.key
	tokens bool   // the key for tokens
	path   string
	secret bool // what reads it can do what the key can
	shared bool // an application of the same machine may read it as well, by its group
}

func keyFiles(cfg *config.Config) []keyFile {
	files := []keyFile{{name: config.TokenKeyName, path: cfg.TokenKey(), secret: true, tokens: true}}
	if cfg.TokenKeyFile != "" {
		files[0].name, files[0].shared = "token_key_file", true
	}
	for _, k := range cfg.Auth.Keys {
		if k.SecretFile != "" {
			files = append(files, keyFile{name: "auth.keys secret_file", path: k.SecretFile, secret: true, shared: true})
		}
		if k.PublicKeyFile != "" {
			files = append(files, keyFile{name: "auth.keys public_key_file", path: k.PublicKeyFile})
		}
	}
	if cfg.TLS.Key != "" {
		files = append(files, keyFile{name: "tls.key", path: cfg.TLS.Key, secret: true, shared: true})
	}
	return files
}

// FileWarnings returns what the log of a starting node says about files that others
// than its user can read or change. It is empty where files have no modes.
func FileWarnings(cfg *config.Config) (lines []string) {
	if !hasModes {
		return nil
	}
	if st, err := os.Stat(cfg.DataDir); err == nil && st.Mode()&writable != 0 {
		lines = append(lines, fmt.Sprintf("UNSAFE: the data dir %s can be written by %s (mode %04o): chmod 700 %s", cfg.DataDir, audience(st, writable), st.Mode().Perm(), cfg.DataDir))
	}
	for _, f := range keyFiles(cfg) {
		st, err := os.Stat(f.path)
		if err != nil {
			continue // the start fails, or makes it
		}
		if bad := f.open(st); bad != 0 {
			lines = append(lines, fmt.Sprintf("UNSAFE: %s %s can be %s by %s (mode %04o): chmod %s %s", f.name, f.path, verb(bad), audience(st, bad), st.Mode().Perm(), f.mode(), f.path))
		}
	}
	return lines
}

// open is the part of the mode that is too much, 0 if nothing is.
func (f keyFile) open(st fs.FileInfo) fs.FileMode {
	too := fs.FileMode(writable)
	if f.secret {
		too |= othersRead
		if !f.shared {
			too |= groupRead
		}
	}
	return st.Mode() & too
}

// mode is the mode that the file should have.
func (f keyFile) mode() string {
	switch {
	case !f.secret:
		return "644"
	case f.shared:
		return "640"
	}
	return "600"
}

func verb(bad fs.FileMode) string {
	if bad&writable != 0 {
		return "changed"
	}
	return "read"
}

// audience names the users that have the bits of a mode.
func audience(st fs.FileInfo, bits fs.FileMode) string {
	mode := st.Mode() & bits
	_, group := owners(st)
	switch {
	case mode&0o007 != 0:
		return "everyone on this machine"
	case mode&0o070 != 0:
		return "the group " + group
	}
	return "its owner"
}

// files looks at the data dir and at every file with a key.
func (e *examination) files() {
	st, err := os.Stat(e.cfg.DataDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.add(Warn, "data dir", "there is no "+e.cfg.DataDir+" yet", "start the server once, or name its --data-dir")
		return
	case err != nil:
		e.add(Fail, "data dir", err.Error(), "run doctor as the user of the node: sudo -u USER roomtide doctor")
		return
	case !st.IsDir():
		e.add(Fail, "data dir", e.cfg.DataDir+" is no directory", "name a directory with --data-dir")
		return
	}
	e.dataDir(st)
	for _, f := range keyFiles(e.cfg) {
		e.keyFile(f, st)
	}
	if e.cfg.HTTPS() {
		if pair, err := tls.LoadX509KeyPair(e.cfg.TLS.Cert, e.cfg.TLS.Key); err == nil { // else the settings have told
			e.until("certificate", pair.Leaf)
		}
	}
}

func (e *examination) dataDir(st fs.FileInfo) {
	dir := e.cfg.DataDir
	owner, _ := owners(st)
	switch {
	case !hasModes:
		e.ok("data dir", "%s", dir)
	case st.Mode()&writable != 0:
		e.add(Fail, "data dir", fmt.Sprintf("%s can be written by %s (mode %04o)", dir, audience(st, writable), st.Mode().Perm()), "chmod 700 "+dir)
	case st.Mode()&strangers != 0:
		e.add(Warn, "data dir", fmt.Sprintf("%s can be listed by %s (mode %04o)", dir, audience(st, strangers), st.Mode().Perm()), "chmod 700 "+dir)
	default:
		e.ok("data dir", "%s, open to its owner %s alone", dir, owner)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		e.add(Fail, "data dir", err.Error(), "run doctor as the user of the node: sudo -u "+owner+" roomtide doctor")
		return
	}
	var foreign, open []string
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			continue // it has gone meanwhile
		}
		if by, _ := owners(info); by != owner {
			foreign = append(foreign, entry.Name()+" ("+by+")")
		}
		if database := strings.HasSuffix(strings.TrimRight(entry.Name(), "-walshm"), ".db"); hasModes && database && info.Mode()&strangers != 0 {
			open = append(open, entry.Name())
		}
	}
	if len(foreign) > 0 {
		e.add(Fail, "owner", fmt.Sprintf("the data dir belongs to %s, but in it are files of others: %s", owner, strings.Join(foreign, ", ")), "chown -R "+owner+" "+dir+"; run the verbs of roomtide as that user")
	}
	if len(open) > 0 {
		e.add(Warn, "databases", "others than the owner may read "+strings.Join(open, ", "), "chmod 600 them")
	}
}

// keyFile reports the readers of a file with a key. A closed directory closes what is in it.
func (e *examination) keyFile(f keyFile, dir fs.FileInfo) {
	st, err := os.Stat(f.path)
	if err != nil {
		help := "run doctor as the user of the node, or correct the path"
		if f.name == config.TokenKeyName {
			help = "start the server once, or run doctor as its user"
		}
		e.add(Fail, f.name, err.Error(), help)
		return
	}
	if bad := f.open(st); hasModes && bad != 0 {
		level := Fail
		if inside := filepath.Dir(f.path) == filepath.Clean(e.cfg.DataDir); inside && dir.Mode()&othersEnter == 0 {
			level = Warn
		}
		e.add(level, f.name, fmt.Sprintf("%s can be %s by %s (mode %04o)", f.path, verb(bad), audience(st, bad), st.Mode().Perm()), "chmod "+f.mode()+" "+f.path)
		return
	}
	text, err := os.ReadFile(f.path)
	if err != nil {
		e.add(Fail, f.name, err.Error(), "the node has to be able to read it: run doctor as its user, and chown or chmod the file")
		return
	}
	if f.tokens {
		if _, err := server.Secret(e.cfg, false); err != nil {
			e.add(Fail, f.name, reason(err), "")
			return
		}
	}
	if len(text) == 0 {
		e.add(Fail, f.name, f.path+" is empty", "put the key there")
		return
	}
	e.ok(f.name, "%s, readable by %s", f.path, readers(st))
}

// readers are the user and group that can read a file.
func readers(st fs.FileInfo) string {
	if !hasModes {
		return "those whom the system lets"
	}
	owner, group := owners(st)
	who := []string{owner}
	if st.Mode()&groupRead != 0 {
		who = append(who, "the group "+group)
	}
	if st.Mode()&othersRead != 0 {
		who = append(who, "everyone on this machine")
	}
	return strings.Join(slices.Compact(who), " and ")
}
