package config

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// FileName is the file in the data dir that is read when no other is named.
const FileName = "roomtide.toml"

const envPrefix = "ROOMTIDE_"

// clientEnv are the variables that only the client verbs read.
var clientEnv = []string{"ROOMTIDE_URL", "ROOMTIDE_TOKEN", "ROOMTIDE_KEY"}

// Args is what the command line gave.
type Args struct {
	File   string   // --config, "" if not given
	Values *Config  // holds the values of the flags that were given
	Given  []string // names of those flags, without dashes
}

// Load merges the settings: a.Values where a flag was given, else env
// (in the form of os.Environ), else the file, else the default. The file is
// a.File, or ROOMTIDE_CONFIG, or roomtide.toml in the data dir if it is there.
// The error is a Problems when the sources were read but do not make sense.
// Values are not checked; that is Check.
func Load(a Args, env []string) (*Config, error) {
	vars := roomtideVars(env)
	c := Default()
	if err := c.locate(a, vars); err != nil {
		return nil, err
	}
	if err := c.readFile(a.File != "" || vars[envPrefix+"CONFIG"] != ""); err != nil {
		return nil, err
	}
	problems := c.readEnv(vars)
	c.readArgs(a)
	c.readPasswords(env)
	if len(problems) > 0 {
		return nil, problems
	}
	return c, nil
}

// locate finds the file. The file cannot set the data dir that it may be in.
func (c *Config) locate(a Args, vars map[string]string) error {
	dir := c.DataDir
	if v := vars[envPrefix+"DATA_DIR"]; v != "" {
		dir = v
	}
	if slices.Contains(a.Given, "data-dir") {
		dir = a.Values.DataDir
	}
	switch {
	case a.File != "":
		c.file = a.File
	case vars[envPrefix+"CONFIG"] != "":
		c.file = vars[envPrefix+"CONFIG"]
	case dir == "":
		return Problems{{"data_dir", "it is empty", "name a directory with --data-dir"}}
	default:
		c.file = filepath.Join(dir, FileName)
	}
	return nil
}

func (c *Config) readFile(named bool) error {
	data, err := os.ReadFile(c.file)
	if errors.Is(err, fs.ErrNotExist) && !named {
		return nil
	}
	if err != nil {
		return Problems{{c.file, "the configuration file cannot be read: " + cause(err), "check --config and the file's permissions"}}
	}
	if err := decode(c.file, data, c); err != nil {
		return err
	}
	present := map[string]any{}
	if err := toml.Unmarshal(data, &present); err != nil {
		return err
	}
	for _, s := range c.Settings() {
		if lookup(present, s.Key) {
			c.origin[s.Key] = c.file
		}
	}
	if !named && c.origin["data_dir"] != "" {
		return Problems{{c.file, "data_dir is set in the file that was found in the data dir",
			"take the line out and use --data-dir or ROOMTIDE_DATA_DIR, or name the file with --config"}}
	}
	return nil
}

// decode reads TOML over c. Every unknown key is a problem that names its line.
func decode(name string, data []byte, c *Config) error {
	err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(c)
	var missing *toml.StrictMissingError
	var bad *toml.DecodeError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		var ps Problems
		for i := range missing.Errors {
			e := &missing.Errors[i]
			line, _ := e.Position()
			ps = append(ps, Problem{fmt.Sprintf("%s:%d", name, line), "there is no setting " + strings.Join(e.Key(), "."), c.unknownFix(e.Key())})
		}
		return ps
	case errors.As(err, &bad):
		line, _ := bad.Position()
		text, fix := wrongType(strings.TrimPrefix(bad.Error(), "toml: ")), "correct this line"
		if slices.Equal(bad.Key(), toml.Key{"shards"}) {
			fix = "write [[shards]] tables with a dsn each; the number of SQLite files is sqlite_shards"
		}
		if k := strings.Join(bad.Key(), "."); k != "" {
			text = k + ": " + text
		}
		return Problems{{fmt.Sprintf("%s:%d", name, line), text, fix}}
	default:
		return Problems{{name, strings.TrimPrefix(err.Error(), "toml: "), "correct the file"}}
	}
}

// unknownFix says what to do about a key that is no setting. One that would be at the
// beginning of the file was written below a table, which it is then a part of.
func (c *Config) unknownFix(key toml.Key) string {
	last := len(key) - 1
	if last > 0 && slices.ContainsFunc(c.Settings(), func(s Setting) bool { return s.Key == key[last] }) {
		return fmt.Sprintf("%s belongs to no table: move the line to the beginning of the file, above the first [table]", key[last])
	}
	return `"roomtide config doc" lists them all`
}

// kinds are the types of settings in the words of the file.
var kinds = map[string]string{"[]string": `a list of texts: ["…", "…"]`, "string": `a text: "…"`, "int": "a number", "int64": "a number", "bool": "true or false"}

var mismatch = regexp.MustCompile(`^cannot decode TOML (\w+) into struct field \S+ of type (\S+)$`)

// wrongType is the decoder's error about a value of the wrong type in the words of the file.
func wrongType(text string) string {
	m := mismatch.FindStringSubmatch(text)
	if m == nil || kinds[m[2]] == "" {
		return text
	}
	return "it has a TOML " + m[1] + ", and takes " + kinds[m[2]]
}

func lookup(tree map[string]any, key string) bool {
	head, rest, nested := strings.Cut(key, ".")
	v, ok := tree[head]
	if !nested || !ok {
		return ok
	}
	sub, ok := v.(map[string]any)
	return ok && lookup(sub, rest)
}

func (c *Config) readEnv(vars map[string]string) Problems {
	var ps Problems
	known := append([]string{envPrefix + "CONFIG"}, clientEnv...)
	for _, s := range c.Settings() {
		known = append(known, s.Env())
		text, ok := vars[s.Env()]
		if !ok {
			continue
		}
		if err := s.set(text); err != nil {
			ps = append(ps, Problem{s.Env(), err.Error(), "change or unset the environment variable"})
		}
		c.origin[s.Key] = s.Env()
	}
	for name := range vars {
		if !slices.Contains(known, name) {
			c.unknownEnv = append(c.unknownEnv, name)
		}
	}
	slices.Sort(c.unknownEnv)
	return ps
}

func (c *Config) readArgs(a Args) {
	if a.Values == nil {
		return
	}
	from := a.Values.Settings()
	for i, s := range c.Settings() {
		if slices.Contains(a.Given, s.Flag()) {
			s.value.Set(from[i].value)
			c.origin[s.Key] = "--" + s.Flag()
		}
	}
}

// readPasswords takes the variables that shards name, which may be any.
func (c *Config) readPasswords(env []string) {
	c.passwords = map[string]string{}
	for i := range c.Shards {
		name := c.Shards[i].PasswordEnv
		if name == "" {
			continue
		}
		for _, e := range env {
			if have, value, ok := strings.Cut(e, "="); ok && have == name {
				c.passwords[name] = value
			}
		}
		c.unknownEnv = slices.DeleteFunc(c.unknownEnv, func(v string) bool { return v == name })
	}
}

func roomtideVars(env []string) map[string]string {
	vars := map[string]string{}
	for _, e := range env {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, envPrefix) {
			vars[name] = value
		}
	}
	return vars
}

// readPassword returns the password that a file holds, in its line.
func readPassword(where, file string) (string, *Problem) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", unreadable(where, file, err)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

func unreadable(where, file string, err error) *Problem {
	return &Problem{where, file + " cannot be read: " + cause(err), "check the path and the permissions"}
}

// cause is the error without the path, which the problem names already.
func cause(err error) string {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err.Error()
	}
	return err.Error()
}
