package server

import (
	"bytes"
	"os"

	"github.com/roomtide/roomtide/chat"
	"github.com/roomtide/roomtide/config"
	"github.com/roomtide/roomtide/identity"
)

// authKeys reads the key files of the configuration.
func authKeys(in []config.AuthKey) ([]identity.KeyConfig, error) {
	var out []identity.KeyConfig
	for _, k := range in {
		path := k.SecretFile
		if path == "" {
			path = k.PublicKeyFile
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, &chat.Error{Kind: chat.Invalid, Op: "server.auth", Text: "cannot read the key file " + path, Err: err}
		}
		kc := identity.KeyConfig{KID: k.KID, Alg: k.Alg}
		if k.SecretFile != "" {
			kc.Secret = bytes.TrimSpace(text)
		} else {
			kc.PEM = string(text)
		}
		out = append(out, kc)
	}
	return out, nil
}
