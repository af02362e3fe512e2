package apns

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/roomtide/roomtide/chat"
)

// Key is a key for APNs of a team of Apple developers. It does not leave its Key: its text
// form has only the id.
type Key struct {
	id, team string
	private  *ecdsa.PrivateKey
}

func (k *Key) String() string { return "APNs key " + k.id }

// ParseKey reads the .p8 file of a key, whose id and team stand beside it where Apple gives
// it out. Errors do not quote the file.
func ParseKey(file []byte, id, team string) (*Key, error) {
	if !isID(id) {
		return nil, chat.E(chat.Invalid, "the id of the APNs key is ten letters and digits: it stands in the name of the file, AuthKey_ID.p8")
	}
	if !isID(team) {
		return nil, chat.E(chat.Invalid, "the team id is ten letters and digits: it stands under Membership in the Apple developer account")
	}
	block, _ := pem.Decode(file)
	if block == nil {
		return nil, chat.E(chat.Invalid, "the file of the APNs key is not in PEM form: it begins with -----BEGIN PRIVATE KEY-----")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, chat.E(chat.Invalid, "the file of the APNs key does not have the key that Apple gives out (.p8): certificates (.p12) do not serve")
	}
	return &Key{id, team, key}, nil
}

func isID(s string) bool {
	return len(s) == 10 && !strings.ContainsFunc(s, func(r rune) bool { return (r < 'A' || r > 'Z') && (r < '0' || r > '9') })
}

// Apple refuses provider tokens that are older than an hour, and a new one less than twenty
// minutes after the last. All nodes, and a node before and after a restart, make the same
// token: time is cut into windows, a token says the beginning of its window, and the
// signature is deterministic (RFC 6979).
const (
	window = 40 * time.Minute
	behind = time.Minute // the token says that much less, for clocks ahead of Apple's
)

// tokens makes the provider tokens of a key. Safe for concurrent use.
type tokens struct {
	// Set once.
	key *Key
	now func() time.Time

	mu      sync.Mutex
	current string // guarded by mu
	issued  int64  // guarded by mu: Unix seconds
}

// get returns the token of this time.
func (t *tokens) get() (string, error) {
	issued := t.now().Truncate(window).Add(-behind).Unix()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != "" && t.issued == issued {
		return t.current, nil
	}
	token := jwt.NewWithClaims(deterministic{jwt.SigningMethodES256}, jwt.MapClaims{"iss": t.key.team, "iat": issued})
	token.Header["kid"] = t.key.id
	signed, err := token.SignedString(t.key.private)
	if err != nil {
		return "", err
	}
	t.current, t.issued = signed, issued
	return signed, nil
}

// deterministic is ES256 that gives one signature for one text.
type deterministic struct{ *jwt.SigningMethodECDSA }

func (d deterministic) Sign(text string, key any) ([]byte, error) {
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, errors.New("not an ECDSA key")
	}
	h := crypto.SHA256.New()
	h.Write([]byte(text))
	der, err := private.Sign(nil, h.Sum(nil), crypto.SHA256)
	if err != nil {
		return nil, err
	}
	var sig struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &sig); err != nil {
		return nil, err
	}
	out := make([]byte, 64)
	sig.R.FillBytes(out[:32])
	sig.S.FillBytes(out[32:])
	return out, nil
}
