package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
)

// The address block of a hop, 94 bytes: IPv4 4 | transport 1 (0 TCP) | port 2 | peer id 39 | id of its client 39, or
// zeros | zeros. An id of 39 bytes is that of a secp256k1 key. QUIC (transport 1) is in the format; this node has none.

const (
	peerIDSize   = 39
	peerOffset   = 4 + 1 + 2
	clientOffset = peerOffset + peerIDSize
	clientEnd    = clientOffset + peerIDSize
)

// entry is a node as pools of networks without a directory have it.
type entry struct {
	Peer      string   `json:"peer"`
	Addresses []string `json:"addresses"`
	MixKey    string   `json:"mixKey"`
}

func (e entry) block() ([]byte, error) {
	id, err := peer.Decode(e.Peer)
	if err != nil {
		return nil, err
	}
	for _, text := range e.Addresses {
		address, err := ma.NewMultiaddr(text)
		if err != nil {
			continue
		}
		ip, err := address.ValueForProtocol(ma.P_IP4)
		if err != nil {
			continue
		}
		port, err := address.ValueForProtocol(ma.P_TCP)
		if err != nil {
			continue
		}
		number, err := strconv.ParseUint(port, 10, 16)
		if err != nil || len(id) != peerIDSize {
			continue
		}
		out := append(make([]byte, 0, addrSize), net.ParseIP(ip).To4()...)
		out = append(out, 0)
		out = binary.BigEndian.AppendUint16(out, uint16(number))
		out = append(out, id...)
		return out[:addrSize], nil
	}
	return nil, errors.New("no address that a packet can name")
}

// place is what a block says: where to send, and whether it is for a client of that peer.
type place struct {
	peer   peer.AddrInfo
	client peer.ID // empty: for the peer itself
}

func readBlock(block []byte) (place, error) {
	id, err := peer.IDFromBytes(block[peerOffset:clientOffset])
	if err != nil || block[4] != 0 || !isZero(block[clientEnd:]) {
		return place{}, errors.New("address")
	}
	address, err := ma.NewMultiaddr(fmt.Sprintf("/ip4/%s/tcp/%d", net.IP(block[:4]), binary.BigEndian.Uint16(block[5:])))
	if err != nil {
		return place{}, errors.New("address")
	}
	at := place{peer: peer.AddrInfo{ID: id, Addrs: []ma.Multiaddr{address}}}
	if client := block[clientOffset:clientEnd]; !isZero(client) {
		if at.client, err = peer.IDFromBytes(client); err != nil {
			return place{}, errors.New("address")
		}
	}
	return at, nil
}
