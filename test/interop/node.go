package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	mathrand "math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"

	"github.com/libp2p/go-libp2p/core/sec"
	ma "github.com/multiformats/go-multiaddr"
)

// What the last hop answers with the same bytes.
const echoProtocol = "/interop/echo/1"

// node is a mix, a server of echoes at the end of paths, and a client.
type node struct {
	host    host.Host
	self    entry
	private []byte // X25519
	habits  []string

	mu      sync.Mutex
	links   map[peer.ID]*link
	seen    map[string]bool
	waiting map[string]waiting // by id of SURB
	counts  map[string]int
}

type waiting struct {
	secrets *surbSecrets
	reply   chan []byte
}

func newNode(habits []string) (*node, error) {
	h, err := newHost()
	if err != nil {
		return nil, err
	}
	private := random(alphaSize)
	public, err := publicKey(private)
	if err != nil {
		return nil, err
	}
	n := &node{
		host: h, private: private, habits: habits,
		self:  entry{Peer: h.ID().String(), MixKey: hex.EncodeToString(public)},
		links: map[peer.ID]*link{}, seen: map[string]bool{}, waiting: map[string]waiting{}, counts: map[string]int{},
	}
	for _, address := range h.Addrs() {
		n.self.Addresses = append(n.self.Addresses, address.String())
	}
	h.SetStreamHandler(mixProtocol, func(stream network.Stream) {
		n.count("accepted")
		if slices.Contains(habits, "half-close") {
			stream.CloseWrite()
		}
		readPackets(stream, n.onPacket, n.count)
	})
	return n, nil
}

// newHost: secp256k1, TCP, Noise, Yamux, on loopback, and no other protocol of libp2p.
func newHost() (host.Host, error) {
	key, _, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	peers, err := pstoremem.NewPeerstore()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(peers.AddPrivKey(id, key), peers.AddPubKey(id, key.GetPublic())); err != nil {
		return nil, err
	}
	bus := eventbus.NewBus()
	net, err := swarm.NewSwarm(id, peers, bus)
	if err != nil {
		return nil, err
	}
	muxers := []upgrader.StreamMuxer{{ID: yamux.ID, Muxer: yamux.DefaultTransport}}
	secure, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	up, err := upgrader.New([]sec.SecureTransport{secure}, muxers, nil, nil, nil)
	if err != nil {
		return nil, err
	}
	transport, err := tcp.NewTCPTransport(up, nil, nil)
	if err != nil {
		return nil, err
	}
	if err := net.AddTransport(transport); err != nil {
		return nil, err
	}
	if err := net.Listen(ma.StringCast("/ip4/127.0.0.1/tcp/0")); err != nil {
		return nil, err
	}
	return blankhost.NewBlankHost(net, blankhost.WithEventBus(bus)), nil
}

func random(size int) []byte {
	out := make([]byte, size)
	rand.Read(out)
	return out
}

func (n *node) count(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.counts[what]++
}

func (n *node) stats() map[string]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.counts)
}

func (n *node) isNew(tag []byte) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	known := n.seen[string(tag)]
	n.seen[string(tag)] = true
	return !known
}

func (n *node) onPacket(packet []byte) {
	n.count("received")
	p, err := peel(n.private, packet, n.isNew)
	if err != nil {
		n.count("dropped-" + err.Error())
		return
	}
	switch p.kind {
	case "forward":
		delay := time.Duration(mathrand.ExpFloat64() * float64(p.delay) * float64(time.Millisecond))
		time.AfterFunc(delay, func() { n.forward(p.address, p.packet) })
	case "exit":
		n.onRequest(p)
	case "reply":
		n.onReply(p)
	}
}

func (n *node) forward(block, packet []byte) {
	at, err := readBlock(block)
	if err != nil {
		n.count("dropped-" + err.Error())
		return
	}
	to := at.peer
	if to.ID == n.host.ID() {
		// Ours is the entry: the client is on a connection that it made.
		to = peer.AddrInfo{ID: at.client}
		if at.client == "" || n.host.Network().Connectedness(at.client) != network.Connected {
			n.count("dropped-client")
			return
		}
	}
	n.send(to, packet, "forwarded")
}

func (n *node) send(to peer.AddrInfo, packet []byte, as string) {
	if n.linkTo(to).send(packet) {
		n.count(as)
	} else {
		n.count("dropped-full")
	}
}

func (n *node) linkTo(to peer.AddrInfo) *link {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.links[to.ID] == nil {
		n.links[to.ID] = newLink(n.host, to, slices.Contains(n.habits, "one-each"), n.count)
	}
	return n.links[to.ID]
}

// onRequest answers an echo through the first SURB that came with it.
func (n *node) onRequest(p *peeled) {
	codec, surbs, content, err := readRequest(p.message)
	switch {
	case err != nil:
		n.count("dropped-message-" + err.Error())
	case !isZero(p.address):
		n.count("dropped-no-exit")
	case codec != echoProtocol || len(surbs) == 0:
		n.count("dropped-protocol")
	default:
		message, err := replyMessage(content)
		if err != nil {
			n.count("dropped-too-long")
			return
		}
		block, packet := useSurb(surbs[0], message)
		n.forwardReply(block, packet)
	}
}

func (n *node) forwardReply(block, packet []byte) {
	at, err := readBlock(block)
	if err != nil {
		n.count("dropped-" + err.Error())
		return
	}
	n.send(at.peer, packet, "answered")
}

func (n *node) onReply(p *peeled) {
	n.mu.Lock()
	w, known := n.waiting[string(p.id)]
	delete(n.waiting, string(p.id))
	n.mu.Unlock()
	if !known {
		n.count("dropped-surb")
		return
	}
	message, whole := w.secrets.open(p.delta)
	if !whole {
		n.count("dropped-payload")
		return
	}
	content, err := readReply(message)
	if err != nil {
		n.count("dropped-" + err.Error())
		return
	}
	w.reply <- content
}
