package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	api "github.com/liftbridge-io/liftbridge-api/v2/go"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func checkSubscribePositions(s *session) error {
	stream, err := s.create("positions")
	if err != nil {
		return err
	}
	if err := s.fill(stream, 3); err != nil {
		return err
	}
	time.Sleep(20 * time.Millisecond)
	middle := time.Now()
	time.Sleep(20 * time.Millisecond)
	for i := 3; i < 5; i++ {
		if _, err := s.client.Publish(s.ctx, stream, []byte(fmt.Sprint("v", i))); err != nil {
			return err
		}
	}
	cases := []struct {
		name  string
		start lift.SubscriptionOption
		want  []int64
	}{
		{"earliest", lift.StartAtEarliestReceived(), []int64{0, 1, 2, 3, 4}},
		{"latest", lift.StartAtLatestReceived(), []int64{4}},
		{"offset", lift.StartAtOffset(2), []int64{2, 3, 4}},
		{"time", lift.StartAtTime(middle), []int64{3, 4}},
		{"time delta", lift.StartAtTimeDelta(time.Hour), []int64{0, 1, 2, 3, 4}},
	}
	for _, c := range cases {
		inbox, cancel, err := s.subscribe(stream, c.start)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err := expectOffsets(inbox, c.want...); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		cancel()
	}
	onlyNew, cancelNew, err := s.subscribe(stream, lift.StartAtNewOnly())
	if err != nil {
		return err
	}
	defer cancelNew()
	beyond, cancelBeyond, err := s.subscribe(stream, lift.StartAtOffset(100))
	if err != nil {
		return err
	}
	defer cancelBeyond()
	if _, err := s.client.Publish(s.ctx, stream, []byte("v5")); err != nil {
		return err
	}
	if err := expectOffsets(onlyNew, 5); err != nil {
		return fmt.Errorf("new only: %w", err)
	}
	if err := expectOffsets(beyond, 5); err != nil {
		return fmt.Errorf("an offset beyond the end: %w", err)
	}
	return nil
}

func checkSubscribeStops(s *session) error {
	stream, err := s.create("stops")
	if err != nil {
		return err
	}
	if err := s.fill(stream, 5); err != nil {
		return err
	}
	cases := []struct {
		name    string
		options []lift.SubscriptionOption
		want    []int64
	}{
		{"offset", []lift.SubscriptionOption{lift.StartAtOffset(1), lift.StopAtOffset(3)}, []int64{1, 2, 3}},
		{"latest", []lift.SubscriptionOption{lift.StartAtEarliestReceived(), lift.StopAtLatestReceived()}, []int64{0, 1, 2, 3, 4}},
		{"time", []lift.SubscriptionOption{lift.StartAtEarliestReceived(), lift.StopAtTime(time.Now())}, []int64{0, 1, 2, 3, 4}},
	}
	for _, c := range cases {
		inbox, cancel, err := s.subscribe(stream, c.options...)
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		if err := expectOffsets(inbox, c.want...); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		// The client reads RESOURCE_EXHAUSTED, which ends every stop position, as this error.
		if err := expectEnd(inbox, lift.ErrReadonlyPartition); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		cancel()
	}
	return nil
}

// checkSubscribeReverse uses the API's own stub: the client has no option for it.
func checkSubscribeReverse(s *session) error {
	stream, err := s.create("reverse")
	if err != nil {
		return err
	}
	if err := s.fill(stream, 4); err != nil {
		return err
	}
	conn, err := grpc.NewClient(s.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	call, err := api.NewAPIClient(conn).Subscribe(ctx, &api.SubscribeRequest{
		Stream: stream, StartPosition: api.StartPosition_LATEST, Reverse: true,
	})
	if err != nil {
		return err
	}
	if _, err := call.Recv(); err != nil {
		return fmt.Errorf("the first message: %w", err)
	}
	for want := int64(3); want >= 0; want-- {
		msg, err := call.Recv()
		if err != nil {
			return fmt.Errorf("waiting for offset %d: %w", want, err)
		}
		if msg.Offset != want {
			return fmt.Errorf("got offset %d, want %d", msg.Offset, want)
		}
	}
	return nil
}

func checkSubscribeErrors(s *session) error {
	nothing := func(*lift.Message, error) {}
	// The client looks streams and partitions up in the metadata before it asks the server.
	err := s.client.Subscribe(s.ctx, fresh("missing"), nothing)
	if err == nil || !strings.Contains(err.Error(), "no known stream") {
		return fmt.Errorf("an unknown stream: %v", err)
	}
	stream, err := s.create("errors")
	if err != nil {
		return err
	}
	err = s.client.Subscribe(s.ctx, stream, nothing, lift.Partition(9))
	if err == nil || !strings.Contains(err.Error(), "no known partition") {
		return fmt.Errorf("an unknown partition: %v", err)
	}
	return nil
}

func checkStreamDeleted(s *session) error {
	stream, err := s.create("deleted")
	if err != nil {
		return err
	}
	inbox, cancel, err := s.subscribe(stream, lift.StartAtEarliestReceived())
	if err != nil {
		return err
	}
	defer cancel()
	if err := s.client.DeleteStream(s.ctx, stream); err != nil {
		return err
	}
	return expectEnd(inbox, lift.ErrStreamDeleted)
}

// checkRestart asks its caller on stdout to restart the server and goes on after a line on stdin.
func checkRestart(s *session) error {
	const half = 50
	stream, err := s.create("restart")
	if err != nil {
		return err
	}
	inbox, cancel, err := s.subscribe(stream, lift.StartAtEarliestReceived())
	if err != nil {
		return err
	}
	defer cancel()
	if err := s.fill(stream, half); err != nil {
		return err
	}
	for i := int64(0); i < half; i++ {
		if err := expectOffsets(inbox, i); err != nil {
			return err
		}
	}
	fmt.Println("restart the server")
	if _, err := s.stdin.ReadString('\n'); err != nil {
		return err
	}
	// This client gives its publish stream up after 5 tries 50 ms apart, so publishing needs a new
	// one; the subscription of the old one must come back by itself.
	publisher, err := lift.Connect([]string{s.address})
	if err != nil {
		return fmt.Errorf("connect after the restart: %w", err)
	}
	defer publisher.Close()
	for i := int64(half); i < 2*half; i++ {
		ack, err := publisher.Publish(s.ctx, stream, []byte("after"))
		if err != nil {
			return fmt.Errorf("publish after the restart: %w", err)
		}
		if ack.Offset() != i {
			return fmt.Errorf("after the restart message %d got offset %d", i, ack.Offset())
		}
	}
	for i := int64(half); i < 2*half; i++ {
		if err := expectOffsets(inbox, i); err != nil {
			return fmt.Errorf("after the restart: %w", err)
		}
	}
	return nil
}

func expectEnd(inbox chan received, want error) error {
	select {
	case got := <-inbox:
		if !errors.Is(got.err, want) {
			return fmt.Errorf("ended with %v, want %v", got.err, want)
		}
		return nil
	case <-time.After(15 * time.Second):
		return fmt.Errorf("no end within 15 s, want %v", want)
	}
}
