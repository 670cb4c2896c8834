package main

import (
	"errors"
	"fmt"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
)

func checkCreateDeleteMetadata(s *session) error {
	stream, err := s.create("metadata", lift.Partitions(2), lift.MaxReplication(), lift.RetentionMaxAge(time.Hour),
		lift.RetentionMaxBytes(1<<30), lift.RetentionMaxMessages(1000), lift.SegmentMaxBytes(1<<20),
		lift.SegmentMaxAge(time.Minute), lift.CleanerInterval(time.Minute), lift.CompactEnabled(false), lift.MinISR(1))
	if err != nil {
		return err
	}
	if err := s.client.CreateStream(s.ctx, "other", stream); !errors.Is(err, lift.ErrStreamExists) {
		return fmt.Errorf("a second stream of the same name: %v", err)
	}
	if err := checkMetadataOf(s, stream); err != nil {
		return err
	}
	if _, err := s.client.Publish(s.ctx, stream, []byte("x"), lift.ToPartition(1)); err != nil {
		return err
	}
	partition, err := s.client.FetchPartitionMetadata(s.ctx, stream, 1)
	if err != nil {
		return err
	}
	if partition.HighWatermark() != 0 || partition.NewestOffset() != 0 || partition.Paused() || partition.Readonly() {
		return fmt.Errorf("partition metadata is %+v", partition)
	}
	if first := partition.MessagesReceivedTimestamps().FirstTime(); time.Since(first) > time.Minute {
		return fmt.Errorf("the first message was received at %v", first)
	}
	if err := s.client.DeleteStream(s.ctx, stream); err != nil {
		return err
	}
	if err := s.client.DeleteStream(s.ctx, stream); !errors.Is(err, lift.ErrNoSuchStream) {
		return fmt.Errorf("deleting a second time: %v", err)
	}
	return nil
}

func checkMetadataOf(s *session, stream string) error {
	metadata, err := s.client.FetchMetadata(s.ctx)
	if err != nil {
		return err
	}
	if len(metadata.Brokers()) != 1 || metadata.Addrs()[0] != s.address {
		return fmt.Errorf("brokers at %v, want one at %s", metadata.Addrs(), s.address)
	}
	info := metadata.GetStream(stream)
	if info == nil || info.Subject() != stream || len(info.Partitions()) != 2 {
		return fmt.Errorf("stream metadata is %+v", info)
	}
	if time.Since(info.CreationTime()) > time.Minute {
		return fmt.Errorf("created at %v", info.CreationTime())
	}
	for id, partition := range info.Partitions() {
		if partition.Leader() == nil || len(partition.ISR()) != 1 || len(partition.Replicas()) != 1 {
			return fmt.Errorf("partition %d is %+v", id, partition)
		}
	}
	return nil
}
