// Command bench measures what one caller waits for, with the clients that Go programs use: a
// message published through go-liftbridge and acknowledged, a NATS request and its answer, and
// with JETSTREAM_URL a publish to JetStream. One at a time, in turns, so that a slow second of the
// machine is nobody's alone. It prints a line of JSON.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	lift "github.com/liftbridge-io/go-liftbridge/v2"
	"github.com/nats-io/nats.go"
)

const (
	rounds       = 9
	roundSeconds = 1.0
	payloadBytes = 128
)

// operation is done again and again, and timed.
type operation struct {
	name string
	run  func() error
}

func main() {
	if err := measure(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func measure() error {
	operations, err := connect()
	if err != nil {
		return err
	}
	samples := map[string][]time.Duration{}
	for round := 0; round <= rounds; round++ {
		for _, one := range operations {
			times, err := repeat(one)
			if err != nil {
				return fmt.Errorf("%s: %w", one.name, err)
			}
			// The first round warms up.
			if round > 0 {
				samples[one.name] = append(samples[one.name], times...)
			}
		}
	}
	type figures struct {
		Name  string
		Count int
		P50   float64
		P99   float64
	}
	var all []figures
	for _, one := range operations {
		times := samples[one.name]
		sort.Slice(times, func(a, b int) bool { return times[a] < times[b] })
		at := func(share float64) float64 {
			return times[int(share*float64(len(times)-1))].Seconds() * 1000
		}
		all = append(all, figures{one.name, len(times), at(0.5), at(0.99)})
	}
	return json.NewEncoder(os.Stdout).Encode(all)
}

func repeat(one operation) ([]time.Duration, error) {
	var times []time.Duration
	for began := time.Now(); time.Since(began).Seconds() < roundSeconds; {
		before := time.Now()
		if err := one.run(); err != nil {
			return nil, err
		}
		times = append(times, time.Since(before))
	}
	return times, nil
}

func connect() ([]operation, error) {
	payload := make([]byte, payloadBytes)
	ctx := context.Background()
	client, err := lift.Connect([]string{os.Getenv("LIFTBRIDGE_ADDRESS")})
	if err != nil {
		return nil, err
	}
	stream := fmt.Sprintf("go-bench-%d", time.Now().UnixNano())
	if err := client.CreateStream(ctx, stream, stream); err != nil {
		return nil, err
	}
	answering, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return nil, err
	}
	if _, err := answering.Subscribe("bench.echo", func(m *nats.Msg) { _ = m.Respond(m.Data) }); err != nil {
		return nil, err
	}
	if err := answering.Flush(); err != nil {
		return nil, err
	}
	asking, err := nats.Connect(os.Getenv("NATS_URL"))
	if err != nil {
		return nil, err
	}
	operations := []operation{
		{"go-liftbridge Publish", func() error {
			_, err := client.Publish(ctx, stream, payload, lift.AckPolicyLeader())
			return err
		}},
		{"NATS request", func() error {
			_, err := asking.Request("bench.echo", payload, 5*time.Second)
			return err
		}},
	}
	if url := os.Getenv("JETSTREAM_URL"); url != "" {
		publish, err := connectJetStream(url, payload)
		if err != nil {
			return nil, err
		}
		operations = append(operations, operation{"JetStream Publish", publish})
	}
	return operations, nil
}

func connectJetStream(url string, payload []byte) (func() error, error) {
	connection, err := nats.Connect(url)
	if err != nil {
		return nil, err
	}
	js, err := connection.JetStream()
	if err != nil {
		return nil, err
	}
	config := &nats.StreamConfig{Name: "bench", Subjects: []string{"bench.js"}, Storage: nats.FileStorage}
	if _, err := js.AddStream(config); err != nil {
		return nil, err
	}
	return func() error {
		_, err := js.Publish("bench.js", payload)
		return err
	}, nil
}
