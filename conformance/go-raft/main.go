// Command raft is a peer of ours that is made of hashicorp/raft: its network transport, over streams
// on NATS. It says on stdout, a JSON object a line, what it received and what it was answered.
//
//	raft serve <nats url> <namespace> <id>          answers every call until stdin ends
//	raft call <nats url> <namespace> <id> <peer>    makes every call once, and exits
//	raft node <nats url> <namespace> <id> <peer>…   is a voter among the peers until stdin ends;
//	                                                each line of stdin is a command to apply
package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"github.com/nats-io/nats.go"
)

const timeout = 2 * time.Second

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 4 {
		return fmt.Errorf("usage: raft serve|call|node <nats url> <namespace> <id> [peer…]")
	}
	nc, err := nats.Connect(args[1])
	if err != nil {
		return err
	}
	defer nc.Close()
	streams, err := newLayer(nc, args[2], args[3])
	if err != nil {
		return err
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream:          streams,
		MaxPool:         3,
		Timeout:         timeout,
		MaxRPCsInFlight: 2,
		Logger:          hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Warn}),
	})
	defer transport.Close()
	switch args[0] {
	case "serve":
		go serve(transport)
		say("ready", nil)
		_, err = io.Copy(io.Discard, os.Stdin)
		return err
	case "call":
		return call(transport, args[3], args[4])
	default:
		return node(transport, args[3], args[4:])
	}
}

var output sync.Mutex

// say prints one line; byte slices come out as base64.
func say(kind string, value any) {
	line, err := json.Marshal(map[string]any{"kind": kind, "value": value})
	if err != nil {
		line = []byte(`{"kind":"error"}`)
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println(string(line))
}

func serve(transport *raft.NetworkTransport) {
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("go"), Addr: []byte("go")}
	for rpc := range transport.Consumer() {
		switch request := rpc.Command.(type) {
		case *raft.AppendEntriesRequest:
			say("append-entries", request)
			if request.Term == 666 {
				rpc.Respond(nil, fmt.Errorf("refused on purpose"))
				continue
			}
			rpc.Respond(&raft.AppendEntriesResponse{
				RPCHeader: header, Term: request.Term, LastLog: 1 << 40, Success: true,
				NoRetryBackoff: len(request.Entries) == 0,
			}, nil)
		case *raft.RequestVoteRequest:
			say("request-vote", request)
			rpc.Respond(&raft.RequestVoteResponse{
				RPCHeader: header, Term: request.Term, Granted: request.LeadershipTransfer,
			}, nil)
		case *raft.RequestPreVoteRequest:
			say("request-pre-vote", request)
			rpc.Respond(&raft.RequestPreVoteResponse{
				RPCHeader: header, Term: request.Term, Granted: true,
			}, nil)
		case *raft.InstallSnapshotRequest:
			body, err := io.ReadAll(rpc.Reader)
			say("install-snapshot", map[string]any{
				"request": request, "sha256": hash(body),
				"configuration": raft.DecodeConfiguration(request.Configuration),
			})
			rpc.Respond(&raft.InstallSnapshotResponse{Term: request.Term, Success: err == nil}, nil)
		case *raft.TimeoutNowRequest:
			say("timeout-now", request)
			rpc.Respond(&raft.TimeoutNowResponse{}, nil)
		}
	}
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// call makes every call of Raft to a peer, two of them pipelined.
func call(transport *raft.NetworkTransport, own, peer string) error {
	id, target := raft.ServerID(peer), raft.ServerAddress(peer)
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte(own), Addr: []byte(own)}
	beat := &raft.AppendEntriesRequest{RPCHeader: header, Term: 2, Leader: []byte(own)}
	entries := []*raft.Log{
		{Index: 300, Term: 2, Type: raft.LogCommand, Data: bytes.Repeat([]byte{0xff}, 40),
			AppendedAt: time.Unix(1_700_000_000, 123_456_789).UTC()},
		{Index: 301, Term: 2, Type: raft.LogNoop},
	}
	with := func(term uint64, entries []*raft.Log) *raft.AppendEntriesRequest {
		return &raft.AppendEntriesRequest{
			RPCHeader: header, Term: term, Leader: []byte(own),
			PrevLogEntry: 299, PrevLogTerm: 1, Entries: entries, LeaderCommitIndex: 1 << 40,
		}
	}
	for _, request := range []*raft.AppendEntriesRequest{beat, with(2, entries), with(3, []*raft.Log{})} {
		var response raft.AppendEntriesResponse
		if err := transport.AppendEntries(id, target, request, &response); err != nil {
			return err
		}
		say("append-entries", response)
	}
	var refused raft.AppendEntriesResponse
	if err := transport.AppendEntries(id, target, with(666, nil), &refused); err != nil {
		say("error", err.Error())
	}
	pipeline, err := transport.AppendEntriesPipeline(id, target)
	if err != nil {
		return err
	}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		for range 10 {
			future := <-pipeline.Consumer()
			say("pipelined", map[string]any{
				"asked": future.Request().Term, "answered": future.Response().Term,
				"error": fmt.Sprint(future.Error()),
			})
		}
	}()
	for term := uint64(10); term < 20; term++ {
		if _, err := pipeline.AppendEntries(with(term, entries), new(raft.AppendEntriesResponse)); err != nil {
			return err
		}
	}
	var vote raft.RequestVoteResponse
	if err := transport.RequestVote(id, target, &raft.RequestVoteRequest{
		RPCHeader: header, Term: 3, Candidate: []byte(own), LastLogIndex: 10, LastLogTerm: 2,
		LeadershipTransfer: true,
	}, &vote); err != nil {
		return err
	}
	say("request-vote", vote)
	var preVote raft.RequestPreVoteResponse
	if err := transport.RequestPreVote(id, target, &raft.RequestPreVoteRequest{
		RPCHeader: header, Term: 3, LastLogIndex: 10, LastLogTerm: 2,
	}, &preVote); err != nil {
		return err
	}
	say("request-pre-vote", preVote)
	if err := sendSnapshot(transport, header, peer); err != nil {
		return err
	}
	var now raft.TimeoutNowResponse
	if err := transport.TimeoutNow(id, target, &raft.TimeoutNowRequest{RPCHeader: header}, &now); err != nil {
		return err
	}
	say("timeout-now", now)
	<-answered
	return pipeline.Close()
}

// sendSnapshot sends five million bytes.
func sendSnapshot(transport *raft.NetworkTransport, header raft.RPCHeader, peer string) error {
	body := bytes.Repeat([]byte("0123456789"), 500_000)
	configuration := raft.Configuration{Servers: []raft.Server{
		{Suffrage: raft.Voter, ID: "go", Address: "go"},
		{Suffrage: raft.Nonvoter, ID: "ts", Address: "ts"},
	}}
	var response raft.InstallSnapshotResponse
	err := transport.InstallSnapshot(raft.ServerID(peer), raft.ServerAddress(peer), &raft.InstallSnapshotRequest{
		RPCHeader: header, SnapshotVersion: 1, Term: 4, Leader: header.Addr,
		LastLogIndex: 10, LastLogTerm: 2, Configuration: raft.EncodeConfiguration(configuration),
		ConfigurationIndex: 1, Size: int64(len(body)),
	}, &response, bytes.NewReader(body))
	say("install-snapshot", map[string]any{"response": response, "sha256": hash(body)})
	return err
}

// node is a voter with everything in memory.
func node(transport *raft.NetworkTransport, own string, peers []string) error {
	config := raft.DefaultConfig()
	config.LocalID = raft.ServerID(own)
	config.Logger = hclog.New(&hclog.LoggerOptions{Output: os.Stderr, Level: hclog.Info})
	store := raft.NewInmemStore()
	snapshots := raft.NewInmemSnapshotStore()
	configuration := raft.Configuration{}
	for _, peer := range peers {
		configuration.Servers = append(configuration.Servers,
			raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(peer), Address: raft.ServerAddress(peer)})
	}
	if err := raft.BootstrapCluster(config, store, store, snapshots, transport, configuration); err != nil {
		return err
	}
	voter, err := raft.NewRaft(config, machine{}, store, store, snapshots, transport)
	if err != nil {
		return err
	}
	go func() {
		for leads := range voter.LeaderCh() {
			say("leads", leads)
		}
	}()
	say("ready", nil)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		switch line := lines.Text(); line {
		case "transfer":
			say("transferred", fmt.Sprint(voter.LeadershipTransfer().Error()))
		default:
			future := voter.Apply([]byte(line), 5*time.Second)
			say("proposed", fmt.Sprint(future.Error()))
		}
	}
	return voter.Shutdown().Error()
}

// machine says what is applied, and has no state.
type machine struct{}

func (machine) Apply(log *raft.Log) any {
	say("applied", map[string]any{"index": log.Index, "term": log.Term, "data": string(log.Data)})
	return nil
}

func (machine) Snapshot() (raft.FSMSnapshot, error)  { return machine{}, nil }
func (machine) Restore(state io.ReadCloser) error    { return state.Close() }
func (machine) Persist(sink raft.SnapshotSink) error { return sink.Close() }
func (machine) Release()                             {}
