package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/roomtide/roomtide/chat"
)

const (
	secretPrefix = "whsec_"
	minSecret    = 24 // bytes, as the specification has it
	maxSecret    = 64
)

// secretKey is the key that a secret stands for.
func secretKey(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil || len(key) < minSecret || len(key) > maxSecret {
		return nil, chat.E(chat.Invalid, "a secret is whsec_ and the base64 of 24 to 64 bytes")
	}
	return key, nil
}

// sign sets the headers of Standard Webhooks (www.standardwebhooks.com), with a signature
// for each secret. The id stays the same at each attempt, the time does not.
func sign(h http.Header, secrets []string, id string, now time.Time, body []byte) error {
	at := strconv.FormatInt(now.Unix(), 10)
	signatures := make([]string, len(secrets))
	for i, s := range secrets {
		key, err := secretKey(s)
		if err != nil {
			return err
		}
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(id + "." + at + "."))
		mac.Write(body)
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", at)
	h.Set("Webhook-Signature", strings.Join(signatures, " "))
	return nil
}
