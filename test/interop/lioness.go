package main

import (
	"crypto/sha3"

	"golang.org/x/crypto/blake2b"
	"golang.org/x/crypto/chacha20"
)

// LIONESS, a wide-block cipher of four rounds over a left half of 32 bytes and the rest: changing one bit of what it
// encrypts changes all of it. Rounds 1 and 3 XOR the right part with ChaCha20 under left XOR key, 2 and 4 the left part
// with keyed BLAKE2b-256 of the right.

const leftSize = 32

type lioness struct {
	keys [4][leftSize]byte
	iv   [chacha20.NonceSize]byte
}

// newLioness derives the round keys from what a hop shares with the sender, or from the key of a SURB.
func newLioness(secret []byte) *lioness {
	c := &lioness{}
	master := hash([]byte("delta_key"), secret)
	rounds := sha3.SumSHAKE128(master, 4*leftSize)
	for i := range c.keys {
		copy(c.keys[i][:], rounds[i*leftSize:])
	}
	copy(c.iv[:], hash([]byte("delta_iv"), secret))
	return c
}

// encrypt returns a new slice; data is left as it was.
func (c *lioness) encrypt(data []byte) []byte {
	out, left, right := split(data)
	c.stream(0, left, right)
	c.hash(1, left, right)
	c.stream(2, left, right)
	c.hash(3, left, right)
	return out
}

func (c *lioness) decrypt(data []byte) []byte {
	out, left, right := split(data)
	c.hash(3, left, right)
	c.stream(2, left, right)
	c.hash(1, left, right)
	c.stream(0, left, right)
	return out
}

func split(data []byte) (out, left, right []byte) {
	out = append([]byte(nil), data...)
	return out, out[:leftSize], out[leftSize:]
}

func (c *lioness) stream(round int, left, right []byte) {
	cipher, err := chacha20.NewUnauthenticatedCipher(xored(left, c.keys[round][:]), c.iv[:])
	if err != nil {
		panic(err) // the lengths are constants
	}
	cipher.XORKeyStream(right, right)
}

func (c *lioness) hash(round int, left, right []byte) {
	h, err := blake2b.New256(c.keys[round][:])
	if err != nil {
		panic(err)
	}
	h.Write(right)
	copy(left, xored(left, h.Sum(nil)))
}

func xored(a, b []byte) []byte {
	out := make([]byte, len(a))
	for i := range a {
		out[i] = a[i] ^ b[i]
	}
	return out
}
