package fcm

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"

	"github.com/roomtide/roomtide/chat"
)

// Account is a service account of a Firebase project. Its key does not leave it: it is not
// in its text form, and there is no JSON form.
type Account struct {
	Project string
	Email   string

	keyID    string
	key      *rsa.PrivateKey
	tokenURL string
}

func (a *Account) String() string { return "service account " + a.Email }

// ParseAccount reads the JSON file that the Firebase console gives out for a service
// account. The errors do not quote it.
func ParseAccount(file []byte) (*Account, error) {
	var f struct {
		Type     string `json:"type"`
		Project  string `json:"project_id"`
		KeyID    string `json:"private_key_id"`
		Key      string `json:"private_key"`
		Email    string `json:"client_email"`
		TokenURL string `json:"token_uri"`
	}
	if err := json.Unmarshal(file, &f); err != nil {
		return nil, chat.E(chat.Invalid, "the service account file is not JSON: take the one that the Firebase console gives out under Project settings, Service accounts, Generate new private key")
	}
	missing := func(field, value string) error {
		if value != "" {
			return nil
		}
		return chat.E(chat.Invalid, "the service account file has no "+field+": it is another file than that of a service account (google-services.json is for the app)")
	}
	if f.Type != "service_account" {
		return nil, missing(`"type": "service_account"`, "")
	}
	for _, p := range [][2]string{{"project_id", f.Project}, {"client_email", f.Email}, {"private_key", f.Key}, {"private_key_id", f.KeyID}, {"token_uri", f.TokenURL}} {
		if err := missing(p[0], p[1]); err != nil {
			return nil, err
		}
	}
	if strings.ContainsFunc(f.Project, func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-:.", r) }) {
		return nil, chat.E(chat.Invalid, "the project_id of the service account file is not the id of a project")
	}
	if u, err := url.Parse(f.TokenURL); err != nil || u.Scheme != "https" || u.Host == "" {
		return nil, chat.E(chat.Invalid, "the token_uri of the service account file is not an https address")
	}
	key, err := parseKey(f.Key)
	if err != nil {
		return nil, err
	}
	return &Account{Project: f.Project, Email: f.Email, keyID: f.KeyID, key: key, tokenURL: f.TokenURL}, nil
}

func parseKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, chat.E(chat.Invalid, "the private_key of the service account file is not in PEM form: was the file changed?")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return nil, chat.E(chat.Invalid, "the private_key of the service account file is not an RSA key")
	}
	if key.N.BitLen() < 2048 {
		return nil, chat.E(chat.Invalid, "the private_key of the service account file is shorter than 2048 bits")
	}
	return key, nil
}
