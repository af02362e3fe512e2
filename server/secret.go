package server

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

const (
	secretFile  = "token.key"
	secretBytes = 32
)

// Secret returns the key that signs the tokens of "roomtide token", from the
// data dir. With create it is made if there is none; else that is NotFound.
func Secret(dataDir string, create bool) ([]byte, error) {
	path := filepath.Join(dataDir, secretFile)
	text, err := os.ReadFile(path)
	switch {
	case err == nil:
		secret, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil || len(secret) < secretBytes {
			return nil, chat.E(chat.Invalid, path+" is damaged: it should hold "+"64 hexadecimal digits; remove it to have a new one made (tokens made so far end)")
		}
		return secret, nil
	case !errors.Is(err, fs.ErrNotExist):
		return nil, chat.Wrap(chat.Unavailable, "server.secret", err)
	case !create:
		return nil, chat.E(chat.NotFound, "there is no "+path+" yet: start the server once, or name its --data-dir")
	}
	secret := make([]byte, secretBytes)
	rand.Read(secret)
	return secret, writeSecret(dataDir, path, secret)
}

// writeSecret leaves either the whole file or none: a crash must not leave half
// a key behind.
func writeSecret(dir, path string, secret []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return chat.Wrap(chat.Unavailable, "server.secret", err)
	}
	f, err := os.CreateTemp(dir, secretFile+".*")
	if err != nil {
		return chat.Wrap(chat.Unavailable, "server.secret", err)
	}
	defer os.Remove(f.Name()) // gone already when all went well
	_, err = f.WriteString(hex.EncodeToString(secret) + "\n")
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return chat.Wrap(chat.Unavailable, "server.secret", err)
	}
	return nil
}
