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
	"github.com/roomtide/roomtide/internal/atomicfile"
)

// SecretFile is the file in the data dir that Secret reads.
const SecretFile = "token.key"

const secretBytes = 32

// Secret returns the key that signs the tokens of "roomtide token", from the
// data dir. With create it is made if there is none; else that is NotFound.
func Secret(dataDir string, create bool) ([]byte, error) {
	path := filepath.Join(dataDir, SecretFile)
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

func writeSecret(dir, path string, secret []byte) error {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = atomicfile.Write(path, []byte(hex.EncodeToString(secret)+"\n"))
	}
	if err != nil {
		return chat.Wrap(chat.Unavailable, "server.secret", err)
	}
	return nil
}
