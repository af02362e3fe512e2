package decode

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// newAES is for bodies that PHP's openssl_encrypt made, in base64. The argument is the
// variable with the key, and a cipher behind it if that is not aes-128-ecb:
// "aes:AES_CHAT_KEY:aes-256-cbc". With cbc the initial vector stands before the text.
func newAES(argument string, secret Secret) (func(string) (string, error), error) {
	variable, method, ok := strings.Cut(argument, ":")
	if !ok {
		method = "aes-128-ecb"
	}
	sizes := map[string]int{"128": 16, "192": 24, "256": 32}
	parts := strings.Split(method, "-")
	if len(parts) != 3 || parts[0] != "aes" || sizes[parts[1]] == 0 || parts[2] != "ecb" && parts[2] != "cbc" {
		return nil, fmt.Errorf("it knows aes-128-ecb, aes-256-cbc and the like, not %q", method)
	}
	value, err := fromEnvironment(variable, secret)
	if err != nil {
		return nil, err
	}
	key := make([]byte, sizes[parts[1]]) // as PHP does: zeros behind a short key, the rest of a long one is cut
	copy(key, value)
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return func(s string) (string, error) {
		if s == "" {
			return "", nil
		}
		data, err := base64.StdEncoding.DecodeString(s)
		if err != nil {
			return "", errors.New("the text is not base64")
		}
		if parts[2] == "ecb" {
			return decrypt(ecb{block}, data)
		}
		if len(data) < aes.BlockSize {
			return "", errKey
		}
		return decrypt(cipher.NewCBCDecrypter(block, data[:aes.BlockSize]), data[aes.BlockSize:])
	}, nil
}

var errKey = errors.New("the text does not decrypt: is it the right key?")

func fromEnvironment(variable string, secret Secret) (string, error) {
	if variable == "" {
		return "", errors.New("it needs the name of the environment variable that has the key, behind a colon")
	}
	if secret != nil {
		if value, ok := secret(variable); ok && value != "" {
			return value, nil
		}
	}
	return "", fmt.Errorf("the environment variable %s, which has the key, is not set", variable)
}

// decrypt decrypts whole blocks and takes the padding of PKCS #7 away.
func decrypt(mode cipher.BlockMode, data []byte) (string, error) {
	if len(data) == 0 || len(data)%aes.BlockSize != 0 {
		return "", errKey
	}
	mode.CryptBlocks(data, data)
	n := int(data[len(data)-1])
	if n == 0 || n > aes.BlockSize || !bytes.Equal(data[len(data)-n:], bytes.Repeat([]byte{byte(n)}, n)) {
		return "", errKey
	}
	return string(data[:len(data)-n]), nil
}

// ecb is the mode in which each block is decrypted alone. It is not safe, and in use.
type ecb struct{ cipher.Block }

func (e ecb) CryptBlocks(dst, src []byte) {
	for n := e.BlockSize(); len(src) > 0; dst, src = dst[n:], src[n:] {
		e.Decrypt(dst[:n], src[:n])
	}
}

// newLaravelCrypt is for bodies that Laravel's Crypt made with APP_KEY, which is in the
// variable that the argument names. Texts that have another form stay as they are, as a
// table may have both.
func newLaravelCrypt(variable string, secret Secret) (func(string) (string, error), error) {
	value, err := fromEnvironment(variable, secret)
	if err != nil {
		return nil, err
	}
	key := []byte(value)
	if encoded, ok := strings.CutPrefix(value, "base64:"); ok {
		if key, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return nil, fmt.Errorf("the key in %s is not base64", variable)
		}
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("the key in %s has %d bytes, where 16 or 32 are right", variable, len(key))
	}
	return func(s string) (string, error) { return openLaravel(s, block, key) }, nil
}

func openLaravel(s string, block cipher.Block, key []byte) (string, error) {
	var envelope struct{ IV, Value, MAC, Tag string }
	raw, err := base64.StdEncoding.DecodeString(s)
	if err != nil || json.Unmarshal(raw, &envelope) != nil || envelope.IV == "" || envelope.Value == "" {
		return s, nil
	}
	iv, err := base64.StdEncoding.DecodeString(envelope.IV)
	data, err2 := base64.StdEncoding.DecodeString(envelope.Value)
	if err != nil || err2 != nil {
		return "", errKey
	}
	if envelope.Tag != "" {
		return openGCM(block, iv, data, envelope.Tag)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(envelope.IV + envelope.Value))
	if want, err := hex.DecodeString(envelope.MAC); err != nil || !hmac.Equal(mac.Sum(nil), want) || len(iv) != aes.BlockSize {
		return "", errKey
	}
	text, err := decrypt(cipher.NewCBCDecrypter(block, iv), data)
	return unserialized(text), err
}

func openGCM(block cipher.Block, iv, data []byte, tag string) (string, error) {
	t, err := base64.StdEncoding.DecodeString(tag)
	if err != nil || len(iv) != 12 {
		return "", errKey
	}
	mode, err := cipher.NewGCM(block)
	if err != nil {
		return "", err
	}
	text, err := mode.Open(nil, iv, append(data, t...), nil)
	if err != nil {
		return "", errKey
	}
	return unserialized(string(text)), nil
}

// unserialized is the text in what Crypt::encrypt wrote; Crypt::encryptString writes it bare.
func unserialized(s string) string {
	p := &phpParser{rest: strings.TrimPrefix(s, "s:")}
	if text, err := p.text(); err == nil && strings.HasPrefix(s, "s:") && p.rest == ";" {
		return text
	}
	return s
}
