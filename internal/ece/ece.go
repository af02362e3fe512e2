// Package ece is the encryption of Web Push: the content coding aes128gcm (RFC 8188)
// with the keys of RFC 8291. A message is encrypted to the key of a subscription, and
// the push service between cannot read it.
package ece

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

const (
	saltBytes   = 16
	tagBytes    = 16
	nonceBytes  = 12
	headerBytes = saltBytes + 4 + 1 // and the key id
	keyBytes    = 65                // an uncompressed point of P-256

	// AuthBytes is the size of a subscription's authentication secret.
	AuthBytes = 16

	// RecordSize is that of a message, which is one record: what every push service takes
	// (RFC 8291, section 4).
	RecordSize = 4096

	// MaxPlain is the longest text that fits in a message of RecordSize bytes.
	MaxPlain = RecordSize - headerBytes - keyBytes - 1 - tagBytes

	last = 2 // delimiter of the last record; 1 is that of the others
)

// Errors of Open and Seal. They tell nothing of keys and texts.
var (
	ErrTooLong = errors.New("ece: the text is too long for one record")
	ErrInvalid = errors.New("ece: not a message for this key")
)

// Seal encrypts a text to a subscription, with a fresh key and salt.
func Seal(plain []byte, to *ecdh.PublicKey, auth []byte) ([]byte, error) {
	from, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	salt := make([]byte, saltBytes)
	_, _ = rand.Read(salt) // it never fails
	return seal(plain, to, auth, from, salt)
}

func seal(plain []byte, to *ecdh.PublicKey, auth []byte, from *ecdh.PrivateKey, salt []byte) ([]byte, error) {
	if len(plain) > MaxPlain {
		return nil, ErrTooLong
	}
	shared, err := from.ECDH(to)
	if err != nil {
		return nil, err
	}
	sender := from.PublicKey().Bytes()
	ikm, err := keyingMaterial(shared, auth, to.Bytes(), sender)
	if err != nil {
		return nil, err
	}
	return encode(plain, ikm, salt, sender, RecordSize)
}

// Open decrypts a message to a subscription, whose private key it needs.
func Open(message []byte, to *ecdh.PrivateKey, auth []byte) ([]byte, error) {
	return decode(message, func(sender []byte) ([]byte, error) {
		from, err := ecdh.P256().NewPublicKey(sender)
		if err != nil {
			return nil, ErrInvalid
		}
		shared, err := to.ECDH(from)
		if err != nil {
			return nil, ErrInvalid
		}
		return keyingMaterial(shared, auth, to.PublicKey().Bytes(), sender)
	})
}

// keyingMaterial is section 3.3 of RFC 8291.
func keyingMaterial(shared, auth, receiver, sender []byte) ([]byte, error) {
	info := "WebPush: info\x00" + string(receiver) + string(sender)
	return hkdf.Key(sha256.New, shared, auth, info, 32)
}

// encode writes one record of RFC 8188.
func encode(plain, ikm, salt, keyID []byte, recordSize uint32) ([]byte, error) {
	records, err := newRecords(ikm, salt)
	if err != nil {
		return nil, err
	}
	out := make([]byte, 0, headerBytes+len(keyID)+len(plain)+1+tagBytes)
	out = append(out, salt...)
	out = binary.BigEndian.AppendUint32(out, recordSize)
	out = append(out, byte(len(keyID)))
	out = append(out, keyID...)
	text := append(append(make([]byte, 0, len(plain)+1), plain...), last)
	return records.aead.Seal(out, records.nonce(0), text, nil), nil
}

// decode reads the records of RFC 8188. ikm returns the keying material of a key id.
func decode(message []byte, ikm func(keyID []byte) ([]byte, error)) ([]byte, error) {
	if len(message) < headerBytes || len(message) < headerBytes+int(message[headerBytes-1]) {
		return nil, ErrInvalid
	}
	salt, size := message[:saltBytes], binary.BigEndian.Uint32(message[saltBytes:])
	keyID := message[headerBytes:][:message[headerBytes-1]]
	rest := message[headerBytes+len(keyID):]
	if size < tagBytes+2 || len(rest) == 0 {
		return nil, ErrInvalid
	}
	key, err := ikm(keyID)
	if err != nil {
		return nil, err
	}
	records, err := newRecords(key, salt)
	if err != nil {
		return nil, err
	}
	var plain []byte
	for seq := uint64(0); len(rest) > 0; seq++ {
		n := min(uint64(size), uint64(len(rest)))
		text, err := records.aead.Open(nil, records.nonce(seq), rest[:n], nil)
		rest = rest[n:]
		if err != nil {
			return nil, ErrInvalid
		}
		if text, err = unpad(text, len(rest) == 0); err != nil {
			return nil, err
		}
		plain = append(plain, text...)
	}
	return plain, nil
}

// unpad cuts the delimiter and the zeros behind it off.
func unpad(text []byte, isLast bool) ([]byte, error) {
	i := len(text) - 1
	for i >= 0 && text[i] == 0 {
		i--
	}
	want := byte(1)
	if isLast {
		want = last
	}
	if i < 0 || text[i] != want {
		return nil, ErrInvalid
	}
	return text[:i], nil
}

// records has the key and the nonces of a message.
type records struct {
	aead cipher.AEAD
	base []byte
}

func newRecords(ikm, salt []byte) (*records, error) {
	prk, err := hkdf.Extract(sha256.New, ikm, salt)
	if err != nil {
		return nil, err
	}
	key, err := hkdf.Expand(sha256.New, prk, "Content-Encoding: aes128gcm\x00", 16)
	if err != nil {
		return nil, err
	}
	base, err := hkdf.Expand(sha256.New, prk, "Content-Encoding: nonce\x00", nonceBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	return &records{aead, base}, err
}

// nonce is that of a record: the base, with its number added bit by bit.
func (r *records) nonce(seq uint64) []byte {
	n := append(make([]byte, 0, nonceBytes), r.base...)
	low := n[nonceBytes-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^seq)
	return n
}
