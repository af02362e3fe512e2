//go:build unix

package doctor

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/server"
)

// keys makes a data dir with a key, and two key files beside it.
func keys(t *testing.T) (cfg *config.Config, secret, public string) {
	t.Helper()
	cfg = settings(t)
	if _, err := server.Secret(cfg, true); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	secret, public = filepath.Join(dir, "shop.key"), filepath.Join(dir, "shop.pem")
	for _, path := range []string{secret, public} {
		if err := os.WriteFile(path, []byte(strings.Repeat("k", 40)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cfg.Auth.Keys = []config.AuthKey{{KID: "a", Alg: "HS256", SecretFile: secret}, {KID: "b", Alg: "RS256", PublicKeyFile: public}}
	return cfg, secret, public
}

// Who can read or change what: the findings, and the lines in the log of a start.
func TestFilesThatOthersCanRead(t *testing.T) {
	for _, tt := range []struct {
		name                       string
		dir, token, secret, public os.FileMode
		finds                      []string
		starts                     []string // each a line of the log
		fails                      string
	}{
		{"closed", 0o700, 0o600, 0o600, 0o600, []string{`ok files/data dir: .* open to its owner \w+ alone`, `ok files/token.key: .* readable by \w+ `, `ok files/auth.keys secret_file: `, `ok files/auth.keys public_key_file: `}, nil, ""},
		{"shared with an application", 0o700, 0o600, 0o640, 0o644, []string{`ok files/auth.keys secret_file: .* readable by \w+ and the group \w+`, `ok files/auth.keys public_key_file: .* and everyone`}, nil, ""},
		{"key in a closed dir", 0o700, 0o644, 0o600, 0o600, []string{`warn files/token.key: .* can be read by everyone on this machine \(mode 0644\) -> chmod 600 /`}, []string{`UNSAFE: token.key /.*token.key can be read by everyone on this machine \(mode 0644\): chmod 600 /`}, ""},
		{"key in an open dir", 0o755, 0o644, 0o600, 0o600, []string{`fail files/token.key: `, `warn files/data dir: .* can be listed by everyone .*0755`}, []string{`token.key`}, "files/token.key"},
		{"key of the group", 0o700, 0o640, 0o600, 0o600, []string{`warn files/token.key: .* can be read by the group \w+`}, []string{`token.key .* by the group`}, ""},
		{"dir for everyone", 0o777, 0o600, 0o600, 0o600, []string{`fail files/data dir: .* can be written by everyone on this machine \(mode 0777\) -> chmod 700 /`}, []string{`UNSAFE: the data dir /.* can be written by everyone on this machine \(mode 0777\): chmod 700 /`}, "files/data dir"},
		{"secret for everyone", 0o700, 0o600, 0o644, 0o600, []string{`fail files/auth.keys secret_file: .* can be read by everyone .* -> chmod 640 /`}, []string{`UNSAFE: auth.keys secret_file /.*shop.key can be read by everyone`}, "files/auth.keys secret_file"},
		{"keys that others can change", 0o700, 0o600, 0o660, 0o666, []string{`fail files/auth.keys secret_file: .* can be changed by the group`, `fail files/auth.keys public_key_file: .* can be changed by everyone .* -> chmod 644`},
			[]string{`secret_file .* changed`, `public_key_file .* changed`}, "files/auth.keys secret_file files/auth.keys public_key_file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, secret, public := keys(t)
			for path, mode := range map[string]os.FileMode{cfg.DataDir: tt.dir, filepath.Join(cfg.DataDir, "token.key"): tt.token, secret: tt.secret, public: tt.public} {
				if err := os.Chmod(path, mode); err != nil {
					t.Fatal(err)
				}
			}
			fs := examine(t, Options{Config: cfg})
			want(t, fs, tt.finds...)
			if got := fails(fs); got != tt.fails {
				t.Errorf("failed are %q, want %q", got, tt.fails)
			}
			lines := FileWarnings(cfg)
			if len(lines) != len(tt.starts) {
				t.Errorf("a start says %q", lines)
			}
			for i, like := range tt.starts {
				if i < len(lines) && !regexp.MustCompile(like).MatchString(lines[i]) {
					t.Errorf("a start says %q, want one like %q", lines[i], like)
				}
			}
		})
	}
}

func TestKeysThatAreNotThere(t *testing.T) {
	cfg, secret, public := keys(t)
	if err := os.Remove(secret); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(public, 0); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(cfg.TokenKey(), []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	want(t, examine(t, Options{Config: cfg}), `fail files/auth.keys secret_file: .*no such file`, `fail files/auth.keys public_key_file: .* is empty -> put the key there`, `fail files/token.key: .* is damaged`)
	if lines := FileWarnings(cfg); len(lines) > 0 {
		t.Errorf("a start says %q", lines)
	}
}

// Files that another user has made, as a verb that ran as root has, stop the node later.
func TestFilesOfAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("only root can give files away: the owner is compared where the tests run as root")
		return
	}
	cfg, _, _ := keys(t)
	foreign := filepath.Join(cfg.DataDir, "control.db-wal")
	if err := os.WriteFile(foreign, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(foreign, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	want(t, examine(t, Options{Config: cfg}), `fail files/owner: the data dir belongs to root, but in it are files of others: control.db-wal \(12345\) -> chown -R root /`, `warn files/databases: others than the owner may read control.db-wal`)
}
