package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

type bytesOfHex []byte

func (b *bytesOfHex) UnmarshalJSON(text []byte) error {
	var digits string
	if err := json.Unmarshal(text, &digits); err != nil {
		return err
	}
	decoded, err := hex.DecodeString(digits)
	*b = decoded
	return err
}

type step struct {
	Role                                               string
	Tag, Next, Packet, Destination, Message, ID, Delta bytesOfHex
	Delay                                              uint16
}

type vector struct {
	PathLength int
	Ephemeral  bytesOfHex
	Hops       []struct {
		PrivateKey, PublicKey, Address bytesOfHex
		Delay                          uint16
	}
	Destination, Message, Packet bytesOfHex
	Steps                        []step
	Surb                         struct {
		Ephemeral, ID, Key, Header, Reply bytesOfHex
		Steps                             []step
	}
}

// checkVectors makes and peels the packets and SURBs of a file; it returns what did not come out as the file says.
func checkVectors(path string) (count int, wrong []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, nil, err
	}
	var file struct{ Vectors []vector }
	if err := json.Unmarshal(text, &file); err != nil {
		return 0, nil, err
	}
	for _, v := range file.Vectors {
		check := func(what string, holds bool) {
			if !holds {
				wrong = append(wrong, fmt.Sprintf("L=%d: %s", v.PathLength, what))
			}
		}
		v.check(check)
	}
	return len(file.Vectors), wrong, nil
}

func (v *vector) check(check func(what string, holds bool)) {
	hops := make([]hop, len(v.Hops))
	for i, h := range v.Hops {
		hops[i] = hop{key: h.PublicKey, address: h.Address, delay: h.Delay}
		public, err := publicKey(h.PrivateKey)
		check("public key", err == nil && bytes.Equal(public, h.PublicKey))
	}
	packet, err := wrap(v.Ephemeral, hops, v.Destination, v.Message)
	check("wrap", err == nil && bytes.Equal(packet, v.Packet))
	v.peelAll("forward", v.Packet, v.Steps, check)

	surb, secrets, err := makeSurb(v.Surb.Ephemeral, hops, v.Surb.ID, v.Surb.Key)
	check("SURB", err == nil && bytes.Equal(surb, bytes.Join([][]byte{hops[0].address, v.Surb.Header, v.Surb.Key}, nil)))
	if err != nil {
		return
	}
	to, reply := useSurb(surb, v.Surb.Reply)
	check("first hop of the reply", bytes.Equal(to, hops[0].address))
	v.peelAll("reply", reply, v.Surb.Steps, check)
	message, whole := secrets.open(v.Surb.Steps[len(v.Surb.Steps)-1].Delta)
	check("reply", whole && bytes.Equal(message, v.Surb.Reply))
}

func (v *vector) peelAll(way string, packet []byte, steps []step, check func(what string, holds bool)) {
	for i, s := range steps {
		name := fmt.Sprintf("%s, step %d", way, i)
		p, err := peel(v.Hops[i].PrivateKey, packet, func([]byte) bool { return true })
		if err != nil {
			check(name+": dropped: "+err.Error(), false)
			return
		}
		check(name+": kind", p.kind == s.Role)
		check(name+": tag", bytes.Equal(p.tag, s.Tag))
		check(name+": address", s.Role == "reply" || bytes.Equal(p.address, append(append([]byte(nil), s.Next...), s.Destination...)))
		check(name+": delay", p.delay == s.Delay)
		check(name+": packet", bytes.Equal(p.packet, s.Packet))
		check(name+": message", bytes.Equal(p.message, s.Message))
		check(name+": id", bytes.Equal(p.id, s.ID))
		check(name+": delta", bytes.Equal(p.delta, s.Delta))
		packet = p.packet
	}
}
