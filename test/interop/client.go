package main

import (
	"encoding/hex"
	"errors"
	"time"
)

// question is a plain request: there, the nodes of its path, the last of which answers; back, those of the reply's path,
// before this node. delay: the mean in ms that each mix is told. copies: the packet is sent so many times.
type question struct {
	There    []entry `json:"there"`
	Back     []entry `json:"back"`
	Protocol string  `json:"protocol"`
	Content  string  `json:"content"` // hexadecimal
	Delay    uint16  `json:"delay"`
	Copies   int     `json:"copies"`
}

func hopsOf(entries []entry, delay uint16) ([]hop, error) {
	hops := make([]hop, len(entries))
	for i, e := range entries {
		key, err := hex.DecodeString(e.MixKey)
		if err != nil || len(key) != alphaSize {
			return nil, errors.New("mix key")
		}
		block, err := e.block()
		if err != nil {
			return nil, err
		}
		hops[i] = hop{key: key, address: block, delay: delay}
	}
	hops[len(hops)-1].delay = 0
	return hops, nil
}

func (n *node) ask(q question, timeout time.Duration) ([]byte, error) {
	there, err := hopsOf(q.There, q.Delay)
	if err != nil {
		return nil, err
	}
	back, err := hopsOf(append(q.Back, n.self), q.Delay)
	if err != nil {
		return nil, err
	}
	content, err := hex.DecodeString(q.Content)
	if err != nil {
		return nil, err
	}
	id := random(idSize)
	surb, secrets, err := makeSurb(random(alphaSize), back, id, random(surbKeySize))
	if err != nil {
		return nil, err
	}
	message, err := requestMessage(q.Protocol, [][]byte{surb}, content)
	if err != nil {
		return nil, err
	}
	packet, err := wrap(random(alphaSize), there, make([]byte, addrSize), message)
	if err != nil {
		return nil, err
	}
	first, err := readBlock(there[0].address)
	if err != nil {
		return nil, err
	}
	reply := make(chan []byte, 1)
	n.mu.Lock()
	n.waiting[string(id)] = waiting{secrets, reply}
	n.mu.Unlock()
	for i := 0; i < max(q.Copies, 1); i++ {
		n.send(first.peer, packet, "asked")
	}
	select {
	case content := <-reply:
		return content, nil
	case <-time.After(timeout):
		return nil, errors.New("no reply in time")
	}
}

// garbage sends random bytes as if they were a packet, on the link that packets to this node leave on.
func (n *node) garbage(to entry, size int) error {
	block, err := to.block()
	if err != nil {
		return err
	}
	at, err := readBlock(block)
	if err != nil {
		return err
	}
	n.send(at.peer, random(size), "garbage")
	return nil
}
