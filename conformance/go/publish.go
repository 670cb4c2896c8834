package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
)

func checkPublishSync(s *session) error {
	stream, err := s.create("sync")
	if err != nil {
		return err
	}
	before := time.Now()
	policies := []lift.MessageOption{lift.AckPolicyLeader(), lift.AckPolicyAll()}
	for i, policy := range policies {
		ack, err := s.client.Publish(s.ctx, stream, []byte("value"), policy,
			lift.Key([]byte("key")), lift.Header("h", []byte{0, 255}), lift.CorrelationID(fmt.Sprint("c", i)))
		if err != nil {
			return err
		}
		if ack.Offset() != int64(i) || ack.Stream() != stream || ack.PartitionSubject() != stream ||
			ack.MessageSubject() != stream || ack.CorrelationID() != fmt.Sprint("c", i) {
			return fmt.Errorf("ack %d is %+v", i, ack)
		}
		if ack.ReceptionTimestamp().Before(before.Add(-time.Second)) || ack.CommitTimestamp().Before(ack.ReceptionTimestamp()) {
			return fmt.Errorf("ack %d has times %v, %v", i, ack.ReceptionTimestamp(), ack.CommitTimestamp())
		}
	}
	if ack, err := s.client.Publish(s.ctx, stream, nil, lift.AckPolicyNone()); err != nil || ack != nil {
		return fmt.Errorf("policy NONE: %v, %v", ack, err)
	}
	inbox, cancel, err := s.subscribe(stream, lift.StartAtEarliestReceived())
	if err != nil {
		return err
	}
	defer cancel()
	for i := 0; i < 2; i++ {
		msg, err := next(inbox)
		if err != nil {
			return err
		}
		headers := msg.Headers()
		if string(msg.Key()) != "key" || string(msg.Value()) != "value" || !bytes.Equal(headers["h"], []byte{0, 255}) ||
			string(headers["subject"]) != stream || msg.Subject() != stream || msg.Stream() != stream {
			return fmt.Errorf("message %d is %+v", i, msg)
		}
	}
	return expectOffsets(inbox, 2)
}

func checkPublishAsync(s *session) error {
	const count = 2000
	stream, err := s.create("async")
	if err != nil {
		return err
	}
	offsets := make([]int64, count)
	var acks sync.WaitGroup
	failures := make(chan error, count)
	for i := 0; i < count; i++ {
		i := i
		acks.Add(1)
		policy := lift.AckPolicyLeader()
		if i%3 == 0 {
			policy = lift.AckPolicyAll()
		}
		err := s.client.PublishAsync(s.ctx, stream, []byte(fmt.Sprint("v", i)), func(ack *lift.Ack, err error) {
			defer acks.Done()
			if err != nil {
				failures <- fmt.Errorf("ack %d: %w", i, err)
				return
			}
			offsets[i] = ack.Offset()
		}, policy)
		if err != nil {
			return fmt.Errorf("publish %d: %w", i, err)
		}
	}
	acks.Wait()
	close(failures)
	for err := range failures {
		return err
	}
	for i, offset := range offsets {
		if offset != int64(i) {
			return fmt.Errorf("message %d is at offset %d", i, offset)
		}
	}
	inbox, cancel, err := s.subscribe(stream, lift.StartAtEarliestReceived())
	if err != nil {
		return err
	}
	defer cancel()
	for i := 0; i < count; i++ {
		msg, err := next(inbox)
		if err != nil {
			return err
		}
		if msg.Offset() != int64(i) || string(msg.Value()) != fmt.Sprint("v", i) {
			return fmt.Errorf("read %q at %d, want v%d", msg.Value(), msg.Offset(), i)
		}
	}
	return nil
}

func checkPublishPartitions(s *session) error {
	stream, err := s.create("partitions", lift.Partitions(3))
	if err != nil {
		return err
	}
	for i := 0; i < 6; i++ {
		ack, err := s.client.Publish(s.ctx, stream, []byte("x"), lift.PartitionByRoundRobin())
		if err != nil {
			return err
		}
		if ack.Offset() != int64(i/3) {
			return fmt.Errorf("round robin: message %d at offset %d", i, ack.Offset())
		}
	}
	ack, err := s.client.Publish(s.ctx, stream, []byte("y"), lift.ToPartition(2))
	if err != nil {
		return err
	}
	if ack.Offset() != 2 || ack.MessageSubject() != stream+".2" || ack.PartitionSubject() != stream {
		return fmt.Errorf("to partition 2: %+v", ack)
	}
	for i := 0; i < 8; i++ {
		key := []byte(fmt.Sprint("key-", i))
		first, err := s.client.Publish(s.ctx, stream, []byte("k"), lift.Key(key), lift.PartitionByKey())
		if err != nil {
			return err
		}
		second, err := s.client.Publish(s.ctx, stream, []byte("k"), lift.Key(key), lift.PartitionByKey())
		if err != nil {
			return err
		}
		if first.MessageSubject() != second.MessageSubject() || second.Offset() != first.Offset()+1 {
			return fmt.Errorf("one key went to %s and %s", first.MessageSubject(), second.MessageSubject())
		}
	}
	return nil
}

func checkPublishNATS(s *session) error {
	stream, err := s.create("nats")
	if err != nil {
		return err
	}
	conn, err := s.nats()
	if err != nil {
		return err
	}
	defer conn.Close()
	acks := make(chan *nats.Msg, 16)
	inbox := nats.NewInbox()
	if _, err := conn.ChanSubscribe(inbox, acks); err != nil {
		return err
	}
	envelope := lift.NewMessage([]byte("enveloped"), lift.Key([]byte("k")), lift.AckInbox(inbox),
		lift.CorrelationID("cid"), lift.AckPolicyAll(), lift.Header("a", []byte("b")))
	if err := conn.Publish(stream, envelope); err != nil {
		return err
	}
	select {
	case reply := <-acks:
		ack, err := lift.UnmarshalAck(reply.Data)
		if err != nil {
			return err
		}
		if ack.Offset() != 0 || ack.CorrelationID() != "cid" || ack.Stream() != stream || ack.AckInbox() != inbox {
			return fmt.Errorf("ack is %+v", ack)
		}
	case <-time.After(10 * time.Second):
		return errors.New("no ack on the inbox")
	}
	if err := conn.PublishRequest(stream, "the.reply", []byte("plain")); err != nil {
		return err
	}
	sub, cancel, err := s.subscribe(stream, lift.StartAtEarliestReceived())
	if err != nil {
		return err
	}
	defer cancel()
	first, err := next(sub)
	if err != nil {
		return err
	}
	if string(first.Value()) != "enveloped" || string(first.Key()) != "k" || string(first.Headers()["a"]) != "b" {
		return fmt.Errorf("the enveloped message is %+v", first)
	}
	second, err := next(sub)
	if err != nil {
		return err
	}
	if string(second.Value()) != "plain" || second.ReplySubject() != "the.reply" || second.Key() != nil {
		return fmt.Errorf("the plain message is %+v", second)
	}
	return nil
}

func checkPublishSubject(s *session) error {
	stream, err := s.create("subject")
	if err != nil {
		return err
	}
	ack, err := s.client.PublishToSubject(s.ctx, stream, []byte("x"), lift.Key([]byte("k")))
	if err != nil {
		return err
	}
	if ack.Offset() != 0 || ack.Stream() != stream {
		return fmt.Errorf("ack is %+v", ack)
	}
	short, err := lift.Connect([]string{s.address}, lift.AckWaitTime(200*time.Millisecond))
	if err != nil {
		return err
	}
	defer short.Close()
	// Only a context without a deadline makes the client use its own.
	_, err = short.PublishToSubject(context.Background(), fresh("nobody"), []byte("x"))
	if !errors.Is(err, lift.ErrAckTimeout) {
		return fmt.Errorf("a subject without a stream: %v", err)
	}
	return nil
}

func checkPublishErrors(s *session) error {
	if _, err := s.client.Publish(s.ctx, fresh("missing"), []byte("x")); err == nil {
		return errors.New("a publish to an unknown stream succeeded")
	}
	stream, err := s.create("errors")
	if err != nil {
		return err
	}
	if _, err := s.client.Publish(s.ctx, stream, []byte("x"), lift.ToPartition(7)); err == nil ||
		!strings.Contains(err.Error(), "does not exist") {
		return fmt.Errorf("an unknown partition: %v", err)
	}
	// The publish stream must have survived the errors before it.
	return s.fill(stream, 3)
}

func checkOptimisticConcurrency(s *session) error {
	stream, err := s.create("occ", lift.OptimisticConcurrencyControl(true))
	if err != nil {
		return err
	}
	if _, err := s.client.Publish(s.ctx, stream, []byte("a"), lift.ExpectedOffset(100)); err == nil ||
		!strings.Contains(err.Error(), "incorrect expected offset") {
		return fmt.Errorf("expected offset 100 on an empty stream: %v", err)
	}
	for i := int64(0); i < 3; i++ {
		ack, err := s.client.Publish(s.ctx, stream, []byte("a"), lift.ExpectedOffset(i))
		if err != nil || ack.Offset() != i {
			return fmt.Errorf("expected offset %d: %v, %v", i, ack, err)
		}
	}
	if _, err := s.client.Publish(s.ctx, stream, []byte("a"), lift.ExpectedOffset(0)); err == nil {
		return errors.New("a stale expected offset was accepted")
	}
	ack, err := s.client.Publish(s.ctx, stream, []byte("a"))
	if err != nil || ack.Offset() != 3 {
		return fmt.Errorf("no expected offset: %v, %v", ack, err)
	}
	return nil
}
