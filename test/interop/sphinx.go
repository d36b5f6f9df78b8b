package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// The packets of LIBP2P-MIX (LIP-99 §8) with k = 16, r = 5, t = 6:
//
//	alpha 32 | beta 576 | gamma 16 | delta 3984        delta = 16 zeros | message 3968, under one LIONESS for each hop
//
// Beta of a hop, decrypted: address 94 | mean delay 2, in ms | gamma of the next 16 | beta of the next. Of the last hop:
// address of the destination, or zeros | delay 0 | id of a SURB, or zeros | at least 16 zeros.
const (
	k           = 16
	maxHops     = 5
	alphaSize   = 32
	gammaSize   = k
	addrSize    = 6*k - 2
	delaySize   = 2
	blockSize   = addrSize + delaySize + gammaSize
	betaSize    = maxHops*blockSize + k
	headerSize  = alphaSize + betaSize + gammaSize
	messageSize = 3968
	deltaSize   = k + messageSize
	packetSize  = headerSize + deltaSize
	idSize      = k
	surbKeySize = k
	surbSize    = addrSize + headerSize + surbKeySize
)

// hop is a node on a path, as its sender knows it.
type hop struct {
	key     []byte // X25519 public key
	address []byte // its block, 94 bytes
	delay   uint16 // the mean in ms that it is told; 0 for the last
}

func hash(parts ...[]byte) []byte {
	h := sha256.New()
	for _, part := range parts {
		h.Write(part)
	}
	return h.Sum(nil)
}

func kdf(label string, secret []byte) []byte { return hash([]byte(label), secret)[:k] }

// x25519 refuses a u of low order, by the zeros that come out.
func x25519(scalar, u []byte) ([]byte, error) {
	private, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	public, err := ecdh.X25519().NewPublicKey(u)
	if err != nil {
		return nil, err
	}
	return private.ECDH(public)
}

func publicKey(scalar []byte) ([]byte, error) {
	private, err := ecdh.X25519().NewPrivateKey(scalar)
	if err != nil {
		return nil, err
	}
	return private.PublicKey().Bytes(), nil
}

// isCanonical: u below p = 2^255 - 19, little-endian. Others are second encodings of the same point.
func isCanonical(u []byte) bool {
	if u[31] != 0x7f {
		return u[31] < 0x7f
	}
	for i := 30; i > 0; i-- {
		if u[i] != 0xff {
			return true
		}
	}
	return u[0] < 0xed
}

func betaStream(secret []byte, data []byte) []byte {
	block, err := aes.NewCipher(kdf("aes_key", secret))
	if err != nil {
		panic(err)
	}
	out := make([]byte, len(data))
	cipher.NewCTR(block, kdf("iv", secret)).XORKeyStream(out, data)
	return out
}

func gammaOf(secret, beta []byte) []byte {
	mac := hmac.New(sha256.New, kdf("mac_key", secret))
	mac.Write(beta)
	return mac.Sum(nil)[:gammaSize]
}

// makeHeader gives a header and the secrets shared with the hops. ephemeral: 32 random bytes, used once.
func makeHeader(ephemeral []byte, hops []hop, destination, id []byte) (header []byte, secrets [][]byte, err error) {
	if len(hops) < 1 || len(hops) > maxHops {
		return nil, nil, errors.New("a path has 1 to 5 hops")
	}
	first, err := publicKey(ephemeral)
	if err != nil {
		return nil, nil, err
	}
	alpha := first
	blindings := [][]byte{ephemeral}
	for _, h := range hops {
		secret := h.key
		for _, b := range blindings {
			if secret, err = x25519(b, secret); err != nil {
				return nil, nil, err
			}
		}
		secrets = append(secrets, secret)
		b := hash(alpha, secret)
		blindings = append(blindings, b)
		if alpha, err = x25519(b, alpha); err != nil {
			return nil, nil, err
		}
	}

	// What the hops before the last append to beta, as it arrives at the last.
	var filler []byte
	last := len(hops) - 1
	for i := 0; i < last; i++ {
		filler = append(filler, make([]byte, blockSize)...)
		stream := betaStream(secrets[i], make([]byte, betaSize+blockSize))
		filler = xored(filler, stream[len(stream)-len(filler):])
	}

	inner := make([]byte, betaSize-len(filler))
	copy(inner, destination)
	copy(inner[addrSize+delaySize:], id)
	beta := append(betaStream(secrets[last], inner), filler...)
	gamma := gammaOf(secrets[last], beta)
	for i := last - 1; i >= 0; i-- {
		var plain bytes.Buffer
		plain.Write(hops[i+1].address)
		plain.Write(binary.BigEndian.AppendUint16(nil, hops[i].delay))
		plain.Write(gamma)
		plain.Write(beta[:betaSize-blockSize])
		beta = betaStream(secrets[i], plain.Bytes())
		gamma = gammaOf(secrets[i], beta)
	}
	return bytes.Join([][]byte{first, beta, gamma}, nil), secrets, nil
}

// wrap makes a packet. destination: 94 bytes, zeros for the last hop itself.
func wrap(ephemeral []byte, hops []hop, destination, message []byte) ([]byte, error) {
	header, secrets, err := makeHeader(ephemeral, hops, destination, make([]byte, idSize))
	if err != nil {
		return nil, err
	}
	delta := append(make([]byte, k), message...)
	for i := len(secrets) - 1; i >= 0; i-- {
		delta = newLioness(secrets[i]).encrypt(delta)
	}
	return append(header, delta...), nil
}

// surbSecrets are what the owner of a SURB keeps, to read the reply.
type surbSecrets struct {
	key     []byte
	secrets [][]byte
}

// makeSurb: the last hop is the owner.
func makeSurb(ephemeral []byte, hops []hop, id, key []byte) ([]byte, *surbSecrets, error) {
	header, secrets, err := makeHeader(ephemeral, hops, make([]byte, addrSize), id)
	if err != nil {
		return nil, nil, err
	}
	return bytes.Join([][]byte{hops[0].address, header, key}, nil), &surbSecrets{key, secrets}, nil
}

// useSurb gives the packet of a reply, and the address block of the node that it goes to.
func useSurb(surb, message []byte) (to, packet []byte) {
	header := surb[addrSize : addrSize+headerSize]
	delta := newLioness(surb[addrSize+headerSize:]).encrypt(append(make([]byte, k), message...))
	return surb[:addrSize], append(append([]byte(nil), header...), delta...)
}

// open reads the reply; false when something on the way changed it.
func (s *surbSecrets) open(delta []byte) ([]byte, bool) {
	for i := len(s.secrets) - 1; i >= 0; i-- {
		delta = newLioness(s.secrets[i]).encrypt(delta)
	}
	return unzeroed(newLioness(s.key).decrypt(delta))
}

func unzeroed(delta []byte) ([]byte, bool) {
	return delta[k:], isZero(delta[:k])
}

func isZero(data []byte) bool {
	for _, b := range data {
		if b != 0 {
			return false
		}
	}
	return true
}

// What a hop finds in a packet.
type peeled struct {
	kind    string // forward, exit, reply
	tag     []byte // by which a replay is known
	address []byte // forward: of the next hop; exit: of the destination, zeros for this node
	delay   uint16 // forward
	packet  []byte // forward: for the next hop
	message []byte // exit
	id      []byte // reply
	delta   []byte // reply
}

// peel takes off one layer. The error is a reason to drop the packet, in one word. isNew records a tag, once gamma holds,
// and says whether it was not there before.
func peel(private, packet []byte, isNew func(tag []byte) bool) (*peeled, error) {
	if len(packet) != packetSize {
		return nil, errors.New("size")
	}
	alpha, beta := packet[:alphaSize], packet[alphaSize:alphaSize+betaSize]
	gamma, delta := packet[alphaSize+betaSize:headerSize], packet[headerSize:]
	if !isCanonical(alpha) {
		return nil, errors.New("alpha")
	}
	secret, err := x25519(private, alpha)
	if err != nil {
		return nil, errors.New("alpha")
	}
	if !hmac.Equal(gamma, gammaOf(secret, beta)) {
		return nil, errors.New("gamma")
	}
	tag := hash(secret)
	if !isNew(tag) {
		return nil, errors.New("replay")
	}
	plain := betaStream(secret, append(append([]byte(nil), beta...), make([]byte, blockSize)...))
	address, rest := plain[:addrSize], plain[blockSize:]
	delay := binary.BigEndian.Uint16(plain[addrSize:])
	next := plain[addrSize+delaySize : blockSize]
	delta = newLioness(secret).decrypt(delta)

	if delay == 0 && isZero(rest[:k]) {
		switch {
		case isZero(next):
			message, whole := unzeroed(delta)
			if !whole {
				return nil, errors.New("payload")
			}
			return &peeled{kind: "exit", tag: tag, address: address, message: message}, nil
		case isZero(address):
			return &peeled{kind: "reply", tag: tag, id: next, delta: delta}, nil
		default:
			return nil, errors.New("last-hop")
		}
	}
	alpha, err = x25519(hash(alpha, secret), alpha)
	if err != nil {
		return nil, errors.New("alpha")
	}
	forwarded := bytes.Join([][]byte{alpha, rest, next, delta}, nil)
	return &peeled{kind: "forward", tag: tag, address: address, delay: delay, packet: forwarded}, nil
}
