// A small node of LIBP2P-MIX (LIP-99, /mix/1.0.0) on go-libp2p, written from the specification, for tests of
// mixmint's mix layer against somebody else's.
//
//	interop -vectors FILE   check packets and SURBs against known answers
//	interop [-habits …]     be a node
//
// Habits, separated by commas: one-each opens a stream for every packet; half-close closes its end of streams that others
// send packets on, at once, since it has nothing to say there.
//
// The node prints its pool entry {peer, addresses, mixKey} when it listens. Then it takes commands, a JSON object a line,
// and answers each with a line that has the same id; in the order in which they are done. It ends with its stdin.
//
//	{"id": 1, "do": "stats"}                                {"id": 1, "stats": {"received": 7, …}}
//	{"id": 2, "do": "ask", "there": [entry, …], …}          {"id": 2, "reply": "hexadecimal"}
//	{"id": 3, "do": "garbage", "to": entry, "size": 4608}   {"id": 3}
//
// What fails: {"id": 2, "error": "…"}.
package main

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

type command struct {
	ID int    `json:"id"`
	Do string `json:"do"`
	question
	To   entry `json:"to"`
	Size int   `json:"size"`
}

type answer struct {
	ID    int            `json:"id"`
	Stats map[string]int `json:"stats,omitempty"`
	Reply string         `json:"reply,omitempty"`
	Error string         `json:"error,omitempty"`
}

const askTimeout = 30 * time.Second

func main() {
	vectors := flag.String("vectors", "", "check this file of vectors, and end")
	habits := flag.String("habits", "", "one-each, half-close")
	flag.Parse()
	var err error
	if *vectors != "" {
		err = runVectors(*vectors)
	} else {
		err = runNode(strings.Split(*habits, ","))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func runVectors(path string) error {
	count, wrong, err := checkVectors(path)
	if err != nil {
		return err
	}
	if count == 0 || len(wrong) > 0 {
		return fmt.Errorf("%d vectors, wrong: %q", count, wrong)
	}
	fmt.Println(count, "vectors hold")
	return nil
}

func runNode(habits []string) error {
	n, err := newNode(habits)
	if err != nil {
		return err
	}
	defer n.host.Close()
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(line any) {
		mu.Lock()
		defer mu.Unlock()
		out.Encode(line)
	}
	say(n.self)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var c command
		if err := json.Unmarshal(lines.Bytes(), &c); err != nil {
			return err
		}
		go func() { say(n.do(c)) }()
	}
	return lines.Err()
}

func (n *node) do(c command) answer {
	a := answer{ID: c.ID}
	var err error
	switch c.Do {
	case "stats":
		a.Stats = n.stats()
	case "ask":
		var reply []byte
		reply, err = n.ask(c.question, askTimeout)
		a.Reply = hex.EncodeToString(reply)
	case "garbage":
		err = n.garbage(c.To, c.Size)
	default:
		err = fmt.Errorf("no such command: %s", c.Do)
	}
	if err != nil {
		a.Error = err.Error()
	}
	return a
}
