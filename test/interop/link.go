package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-varint"
)

const (
	mixProtocol = "/mix/1.0.0"
	queueLength = 1024
	patience    = 10 * time.Second
	attempts    = 3
)

// link sends to one neighbour, on one stream as long as that lasts: frame = unsigned varint of the length | packet.
type link struct {
	queue chan []byte
}

// outbound is a stream of ours; over once the neighbour closes its end, which is how it asks for no more, or resets it.
type outbound struct {
	stream network.Stream
	over   atomic.Bool
}

// newLink: addresses may be empty for a neighbour that has connected to us. oneEach: a new stream for every packet, as
// LIP-99 §7.1 has it where nothing better is done; none waits for another.
func newLink(h host.Host, to peer.AddrInfo, oneEach bool, count func(string)) *link {
	l := &link{queue: make(chan []byte, queueLength)}
	go func() {
		var out *outbound
		for frame := range l.queue {
			if oneEach {
				go sendAlone(h, to, frame, count)
			} else if !sendFrame(h, to, &out, frame, count) {
				count("unsent")
			}
		}
	}()
	return l
}

func sendAlone(h host.Host, to peer.AddrInfo, frame []byte, count func(string)) {
	var out *outbound
	if !sendFrame(h, to, &out, frame, count) {
		count("unsent")
		return
	}
	out.stream.CloseWrite()
}

// send never waits: a full queue drops.
func (l *link) send(body []byte) bool {
	frame := append(varint.ToUvarint(uint64(len(body))), body...)
	select {
	case l.queue <- frame:
		return true
	default:
		return false
	}
}

func sendFrame(h host.Host, to peer.AddrInfo, out **outbound, frame []byte, count func(string)) bool {
	for try := 0; try < attempts; try++ {
		if *out != nil && (*out).over.Load() {
			*out = nil
		}
		if *out == nil {
			opened, err := open(h, to, count)
			if err != nil {
				continue
			}
			*out = opened
		}
		(*out).stream.SetWriteDeadline(time.Now().Add(patience))
		if _, err := (*out).stream.Write(frame); err == nil {
			return true
		}
		(*out).stream.Reset()
		*out = nil
	}
	return false
}

func open(h host.Host, to peer.AddrInfo, count func(string)) (*outbound, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := h.Connect(ctx, to); err != nil {
		return nil, err
	}
	stream, err := h.NewStream(ctx, to.ID, mixProtocol)
	if err != nil {
		return nil, err
	}
	count("opened")
	out := &outbound{stream: stream}
	go func() {
		io.Copy(io.Discard, stream) // nothing is said there; it ends when the neighbour ends it
		out.over.Store(true)
		stream.CloseWrite()
		count("ended")
	}()
	return out, nil
}

// readPackets hands over what a neighbour sends, until it ends its stream; one that does not keep to the format loses it.
func readPackets(stream network.Stream, onPacket func(packet []byte), count func(string)) {
	reader := bufio.NewReader(stream)
	for {
		length, err := varint.ReadUvarint(reader)
		if errors.Is(err, io.EOF) {
			stream.Close()
			return
		}
		if err != nil || length != packetSize {
			count("broken")
			stream.Reset()
			return
		}
		packet := make([]byte, packetSize)
		if _, err := io.ReadFull(reader, packet); err != nil {
			count("broken")
			stream.Reset()
			return
		}
		onPacket(packet)
	}
}
