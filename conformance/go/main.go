// Command conformance judges a running server with the Liftbridge client that Go programs use.
// It runs the one check that is named and exits 0 when it holds. The server's gRPC address and the
// NATS URL come from LIFTBRIDGE_ADDRESS and NATS_URL.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"sort"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
)

const checkTimeout = 60 * time.Second

// session is what a check works with.
type session struct {
	ctx     context.Context
	client  lift.Client
	address string
	natsURL string
	stdin   *bufio.Reader
}

type check func(s *session) error

var checks = map[string]check{
	"create-delete-metadata": checkCreateDeleteMetadata,
	"publish-sync":           checkPublishSync,
	"publish-async":          checkPublishAsync,
	"publish-partitions":     checkPublishPartitions,
	"publish-nats":           checkPublishNATS,
	"publish-subject":        checkPublishSubject,
	"publish-errors":         checkPublishErrors,
	"optimistic-concurrency": checkOptimisticConcurrency,
	"subscribe-positions":    checkSubscribePositions,
	"subscribe-stops":        checkSubscribeStops,
	"subscribe-reverse":      checkSubscribeReverse,
	"subscribe-errors":       checkSubscribeErrors,
	"stream-deleted":         checkStreamDeleted,
	"restart":                checkRestart,
}

func main() {
	if len(os.Args) != 2 {
		list()
		os.Exit(2)
	}
	run, known := checks[os.Args[1]]
	if !known {
		list()
		os.Exit(2)
	}
	if err := execute(run); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func list() {
	names := make([]string, 0, len(checks))
	for name := range checks {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		fmt.Println(name)
	}
}

func execute(run check) error {
	// The deadline must not go into Connect: the client would keep it for its publish stream.
	ctx, cancel := context.WithTimeout(context.Background(), checkTimeout)
	defer cancel()
	address := os.Getenv("LIFTBRIDGE_ADDRESS")
	client, err := lift.Connect([]string{address})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer client.Close()
	return run(&session{
		ctx:     ctx,
		client:  client,
		address: address,
		natsURL: os.Getenv("NATS_URL"),
		stdin:   bufio.NewReader(os.Stdin),
	})
}

// fresh names a stream that no other check uses.
func fresh(purpose string) string {
	return fmt.Sprintf("go-%s-%d", purpose, time.Now().UnixNano())
}

// create makes a stream on the subject of its own name.
func (s *session) create(purpose string, options ...lift.StreamOption) (string, error) {
	name := fresh(purpose)
	if err := s.client.CreateStream(s.ctx, name, name, options...); err != nil {
		return "", fmt.Errorf("create %s: %w", name, err)
	}
	return name, nil
}

// fill publishes v0, v1, … one after the other and checks the offsets of the acks.
func (s *session) fill(stream string, count int) error {
	for i := 0; i < count; i++ {
		ack, err := s.client.Publish(s.ctx, stream, []byte(fmt.Sprintf("v%d", i)))
		if err != nil {
			return fmt.Errorf("publish %d: %w", i, err)
		}
		if ack.Offset() != int64(i) {
			return fmt.Errorf("publish %d: acknowledged at offset %d", i, ack.Offset())
		}
	}
	return nil
}

func (s *session) nats() (*nats.Conn, error) {
	return nats.Connect(s.natsURL)
}

// received is one call of a subscription's handler.
type received struct {
	msg *lift.Message
	err error
}

// subscribe collects what the handler is given.
func (s *session) subscribe(stream string, options ...lift.SubscriptionOption) (chan received, func(), error) {
	ctx, cancel := context.WithCancel(s.ctx)
	inbox := make(chan received, 4096)
	err := s.client.Subscribe(ctx, stream, func(msg *lift.Message, err error) {
		inbox <- received{msg, err}
	}, options...)
	if err != nil {
		cancel()
		return nil, nil, fmt.Errorf("subscribe: %w", err)
	}
	return inbox, cancel, nil
}

// next waits for one message.
func next(inbox chan received) (*lift.Message, error) {
	select {
	case got := <-inbox:
		if got.err != nil {
			return nil, fmt.Errorf("the subscription failed: %w", got.err)
		}
		return got.msg, nil
	case <-time.After(15 * time.Second):
		return nil, fmt.Errorf("no message came within 15 s")
	}
}

// expectOffsets reads messages and compares their offsets.
func expectOffsets(inbox chan received, offsets ...int64) error {
	for _, want := range offsets {
		msg, err := next(inbox)
		if err != nil {
			return fmt.Errorf("waiting for offset %d: %w", want, err)
		}
		if msg.Offset() != want {
			return fmt.Errorf("got offset %d, want %d", msg.Offset(), want)
		}
	}
	return nil
}
