package ece

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"testing"
)

func b64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func private(t testing.TB, s string) *ecdh.PrivateKey {
	t.Helper()
	k, err := ecdh.P256().NewPrivateKey(b64(t, s))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// The example of section 5 and appendix A of RFC 8291.
const (
	vectorText     = "When I grow up, I want to be a watermelon"
	vectorAuth     = "BTBZMqHH6r4Tts7J_aSIgg"
	vectorReceiver = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
	vectorSender   = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	vectorSalt     = "DGv6ra1nlYgDCS1FRnbzlw"
	vectorMessage  = "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)

func TestVectorOfRFC8291(t *testing.T) {
	to, auth := private(t, vectorReceiver), b64(t, vectorAuth)
	got, err := seal([]byte(vectorText), to.PublicKey(), auth, private(t, vectorSender), b64(t, vectorSalt))
	if err != nil || !bytes.Equal(got, b64(t, vectorMessage)) {
		t.Fatalf("sealed %s, %v", base64.RawURLEncoding.EncodeToString(got), err)
	}
	plain, err := Open(got, to, auth)
	if err != nil || string(plain) != vectorText {
		t.Fatalf("opened %q, %v", plain, err)
	}
}

// Sections 3.1 and 3.2 of RFC 8188: one record, and two with padding.
func TestVectorsOfRFC8188(t *testing.T) {
	const text = "I am the walrus"
	for _, v := range []struct{ key, id, message string }{
		{"yqdlZ-tYemfogSmv7Ws5PQ", "", "I1BsxtFttlv3u_Oo94xnmwAAEAAA-NAVub2qFgBEuQKRapoZu-IxkIva3MEB1PD-ly8Thjg"},
		{"BO3ZVPxUlnLORbVGMpbT1Q", "a1", "uNCkWiNYzKTnBN9ji3-qWAAAABkCYTHOG8chz_gnvgOqdGYovxyjuqRyJFjEDyoF1Fvkj6hQPdPHI51OEUKEpgz3SsLWIqS_uA"},
	} {
		message := b64(t, v.message)
		plain, err := decode(message, func(id []byte) ([]byte, error) {
			if string(id) != v.id {
				t.Errorf("key id %q, want %q", id, v.id)
			}
			return b64(t, v.key), nil
		})
		if err != nil || string(plain) != text {
			t.Errorf("decoded %q, %v", plain, err)
		}
		if v.id != "" {
			continue // the encoder writes one record
		}
		if got, err := encode([]byte(text), b64(t, v.key), message[:saltBytes], nil, RecordSize); err != nil || !bytes.Equal(got, message) {
			t.Errorf("encoded %x, %v", got, err)
		}
	}
}

func TestLongestText(t *testing.T) {
	to, auth := private(t, vectorReceiver), b64(t, vectorAuth)
	text := bytes.Repeat([]byte("x"), MaxPlain)
	message, err := Seal(text, to.PublicKey(), auth)
	if err != nil || len(message) != RecordSize {
		t.Fatalf("%d bytes, %v", len(message), err)
	}
	if plain, err := Open(message, to, auth); err != nil || !bytes.Equal(plain, text) {
		t.Fatalf("%d bytes, %v", len(plain), err)
	}
	if _, err := Seal(append(text, 'x'), to.PublicKey(), auth); !errors.Is(err, ErrTooLong) {
		t.Fatal(err)
	}
}

func TestSealIsFresh(t *testing.T) {
	to, auth := private(t, vectorReceiver), b64(t, vectorAuth)
	a, err := Seal([]byte("x"), to.PublicKey(), auth)
	b, err2 := Seal([]byte("x"), to.PublicKey(), auth)
	if errors.Join(err, err2) != nil || bytes.Equal(a[:saltBytes], b[:saltBytes]) || bytes.Equal(a[headerBytes:][:keyBytes], b[headerBytes:][:keyBytes]) {
		t.Fatal("salt or key was used twice", err, err2)
	}
}

// A message that was changed, cut or is for another is an error.
func TestOpenRefuses(t *testing.T) {
	to, auth := private(t, vectorReceiver), b64(t, vectorAuth)
	message := b64(t, vectorMessage)
	for i := range message {
		bad := bytes.Clone(message)
		bad[i] ^= 1
		// A record size that is still long enough says nothing about a single record.
		if _, err := Open(bad, to, auth); err == nil && (i < saltBytes || i >= saltBytes+4) {
			t.Errorf("byte %d changed: opened", i)
		}
		if _, err := Open(message[:i], to, auth); err == nil {
			t.Errorf("cut to %d bytes: opened", i)
		}
	}
	other, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(message, other, auth); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	if _, err := Open(message, to, make([]byte, AuthBytes)); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
}

func FuzzOpen(f *testing.F) {
	to, auth := private(f, vectorReceiver), b64(f, vectorAuth)
	f.Add(b64(f, vectorMessage))
	f.Add([]byte{})
	f.Add(make([]byte, 120))
	f.Fuzz(func(t *testing.T, message []byte) {
		plain, err := Open(message, to, auth)
		if err == nil && len(plain) >= len(message) {
			t.Fatalf("%d bytes from %d", len(plain), len(message))
		}
	})
}

func BenchmarkSeal(b *testing.B) {
	to, auth := private(b, vectorReceiver), b64(b, vectorAuth)
	text := bytes.Repeat([]byte("x"), 300)
	for b.Loop() {
		if _, err := Seal(text, to.PublicKey(), auth); err != nil {
			b.Fatal(err)
		}
	}
}
