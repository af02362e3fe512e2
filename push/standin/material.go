package standin

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"time"

	"github.com/roomtide/roomtide/internal/ece"
)

// What the stand-in's credentials say.
const (
	Project = "roomtide-stand-in"
	KeyID   = "STANDINKEY"
	TeamID  = "STANDINTEM"
	Topic   = "org.example.chat"

	accountEmail = "push@roomtide-stand-in.example"
	accountKeyID = "0123456789abcdef0123456789abcdef01234567"
)

// material is the certificate and the credentials of a server.
type material struct {
	certificate tls.Certificate
	pem         []byte // of the certificate
	accountKey  *rsa.PrivateKey
	account     []byte // the service account file
	apnsKey     *ecdsa.PrivateKey
	p8          []byte
}

// accountKey is the same for all servers of a process: an RSA key takes long to make.
var accountKey = sync.OnceValues(func() (*rsa.PrivateKey, error) { return rsa.GenerateKey(rand.Reader, 2048) })

func newMaterial(addr net.Addr, url string) (*material, error) {
	m := &material{}
	if err := m.certify(addr); err != nil {
		return nil, err
	}
	var err error
	if m.accountKey, err = accountKey(); err != nil {
		return nil, err
	}
	key, err := privatePEM(m.accountKey)
	if err != nil {
		return nil, err
	}
	m.account, err = json.MarshalIndent(map[string]string{
		"type": "service_account", "project_id": Project, "private_key_id": accountKeyID, "private_key": string(key),
		"client_email": accountEmail, "client_id": "100000000000000000000", "token_uri": url + "/token",
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	if m.apnsKey, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, err
	}
	m.p8, err = privatePEM(m.apnsKey)
	return m, err
}

// certify makes a certificate for the address that is listened on, and for localhost.
func (m *material) certify(addr net.Addr) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "Roomtide push stand-in"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IsCA:        true, BasicConstraintsValid: true,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	if a, ok := addr.(*net.TCPAddr); ok && !a.IP.IsUnspecified() {
		template.IPAddresses = append(template.IPAddresses, a.IP)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	m.certificate = tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	m.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return nil
}

func privatePEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// Certificate is that of the server, in PEM form.
func (s *Server) Certificate() []byte { return s.material.pem }

// Roots trusts the server's certificate.
func (s *Server) Roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.material.pem)
	return pool
}

// Account is a service account file for FCM.
func (s *Server) Account() []byte { return s.material.account }

// P8 is the file of the APNs key with KeyID, of TeamID.
func (s *Server) P8() []byte { return s.material.p8 }

// NewFCM registers an installation and returns its address, as a client sends it.
func (s *Server) NewFCM() (address, id string) {
	id = "standin:" + random(64)
	s.add(id, FCM, nil)
	return mustJSON(map[string]string{"token": id}), id
}

// NewAPNs registers a device in an environment and returns its address.
func (s *Server) NewAPNs(environment string) (address, id string) {
	raw := make([]byte, 32)
	_, _ = rand.Read(raw) // it never fails
	id = hex.EncodeToString(raw)
	s.add(id, APNs, environment)
	return mustJSON(map[string]string{"token": id, "topic": Topic, "environment": environment}), id
}

// subscriber is what a browser has.
type subscriber struct {
	key    *ecdh.PrivateKey
	auth   []byte
	sender string // the only VAPID key that may send; empty: any
}

// NewWebPush makes a subscription for a VAPID public key, or for any if it is empty, and
// returns it as a browser does.
func (s *Server) NewWebPush(applicationServerKey string) (address, id string, err error) {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return "", "", err
	}
	auth := make([]byte, ece.AuthBytes)
	_, _ = rand.Read(auth)
	id = random(16)
	s.add(id, WebPush, &subscriber{key, auth, applicationServerKey})
	return mustJSON(map[string]any{
		"endpoint": s.url + "/push/" + id, "expirationTime": nil,
		"keys": map[string]string{"p256dh": b64(key.PublicKey().Bytes()), "auth": b64(auth)},
	}), id, nil
}

func (s *Server) add(id, service string, of any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.devices[id] = &device{service: service, of: of}
}

// random is that many bytes in base64url.
func random(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // it never fails
	return b64(raw)
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func mustJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings and maps of strings have a JSON form
	}
	return string(b)
}
