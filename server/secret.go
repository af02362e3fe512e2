package server

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/internal/atomicfile"
)

const secretBytes = 32

// Secret returns the key that signs the tokens of "roomtide token", from the file that
// the settings name, else from the data dir. With create it is made in the data dir if
// there is none; else that is NotFound.
func Secret(cfg *config.Config, create bool) ([]byte, error) {
	path := cfg.TokenKey()
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err == nil && len(secret) >= secretBytes {
			return secret, nil
		}
		if cfg.TokenKeyFile != "" {
			return nil, chat.E(chat.Invalid, "token_key_file "+path+" does not hold 64 hexadecimal digits: make them with \"openssl rand -hex 32\"")
		}
		return nil, chat.E(chat.Invalid, path+" is damaged: it should hold "+"64 hexadecimal digits; remove it to have a new one made (tokens made so far end)")
	case !errors.Is(err, fs.ErrNotExist):
		return nil, chat.Wrap(chat.Unavailable, "server.secret", err)
	case cfg.TokenKeyFile != "":
		return nil, chat.E(chat.NotFound, "there is no "+path+", which token_key_file names: make it with \"openssl rand -hex 32\", or correct the setting")
	case !create:
		return nil, chat.E(chat.NotFound, "there is no "+path+" yet: start the server once, or name its --data-dir")
	}
	secret := make([]byte, secretBytes)
	rand.Read(secret)
	return secret, writeSecret(path, secret)
}

func writeSecret(path string, secret []byte) error {
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = atomicfile.Write(path, []byte(hex.EncodeToString(secret)+"\n"))
	}
	if err != nil {
		return chat.Wrap(chat.Unavailable, "server.secret", err)
	}
	return nil
}

// keyDigest tells whether two nodes have the same key for tokens, and nothing of the key
// itself, which is random.
func keyDigest(secret []byte) string {
	sum := sha256.Sum256(append([]byte("roomtide token key\n"), secret...))
	return hex.EncodeToString(sum[:8])
}
