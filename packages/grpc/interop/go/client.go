package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

type check struct {
	name string
	run  func(context.Context, *grpc.ClientConn) error
}

var (
	serverStream = &grpc.StreamDesc{ServerStreams: true}
	clientStream = &grpc.StreamDesc{ClientStreams: true}
	bidiStream   = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}
	raw          = grpc.ForceCodec(bytesCodec{})
)

// call runs every check against the server at address; the result is the exit code.
func call(address string) int {
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer conn.Close()
	failed := 0
	for _, c := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		err := c.run(ctx, conn)
		cancel()
		line := map[string]string{"name": c.name, "error": ""}
		if err != nil {
			failed = 1
			line["error"] = err.Error()
		}
		out, _ := json.Marshal(line)
		fmt.Println(string(out))
	}
	return failed
}

func invoke(ctx context.Context, conn *grpc.ClientConn, method string, request []byte, opts ...grpc.CallOption) ([]byte, error) {
	var response []byte
	err := conn.Invoke(ctx, "/t.T/"+method, &request, &response, append(opts, raw)...)
	return response, err
}

func open(ctx context.Context, conn *grpc.ClientConn, desc *grpc.StreamDesc, method string) (grpc.ClientStream, error) {
	return conn.NewStream(ctx, desc, "/t.T/"+method, raw)
}

func uint32Bytes(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func wantStatus(err error, code codes.Code, message string) error {
	if s := status.Convert(err); s.Code() != code || (message != "" && s.Message() != message) {
		return fmt.Errorf("want %v %q, got %v %q", code, message, s.Code(), s.Message())
	}
	return nil
}

var checks = []check{
	{"unary with metadata both ways", func(ctx context.Context, conn *grpc.ClientConn) error {
		var header, trailer metadata.MD
		ctx = metadata.AppendToOutgoingContext(ctx, "ping-bin", "\x09\x08\xff")
		got, err := invoke(ctx, conn, "Echo", []byte("hi"), grpc.Header(&header), grpc.Trailer(&trailer))
		if err != nil || string(got) != "hi" {
			return fmt.Errorf("%q, %v", got, err)
		}
		if strings.Join(header.Get("first"), "") != "yes" || strings.Join(trailer.Get("last-bin"), "") != "\x09\x08\xff" {
			return fmt.Errorf("header %v trailer %v", header, trailer)
		}
		return nil
	}},
	{"an error with non-ASCII text and metadata", func(ctx context.Context, conn *grpc.ClientConn) error {
		var trailer metadata.MD
		_, err := invoke(ctx, conn, "Fail", nil, grpc.Trailer(&trailer))
		if len(trailer.Get("many")) != 2 {
			return fmt.Errorf("trailer %v", trailer)
		}
		return wantStatus(err, codes.FailedPrecondition, text)
	}},
	{"deadline", func(ctx context.Context, conn *grpc.ClientConn) error {
		ctx, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
		defer cancel()
		_, err := invoke(ctx, conn, "Hang", nil)
		return wantStatus(err, codes.DeadlineExceeded, "")
	}},
	{"cancellation", func(ctx context.Context, conn *grpc.ClientConn) error {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(30*time.Millisecond, cancel)
		_, err := invoke(ctx, conn, "Hang", nil)
		return wantStatus(err, codes.Canceled, "")
	}},
	{"unknown method", func(ctx context.Context, conn *grpc.ClientConn) error {
		_, err := invoke(ctx, conn, "Nope", nil)
		return wantStatus(err, codes.Unimplemented, "unknown method Nope for service t.T")
	}},
	{"large message, and one over the limit", func(ctx context.Context, conn *grpc.ClientConn) error {
		large := bytes.Repeat([]byte("x"), 3*mib)
		got, err := invoke(ctx, conn, "Echo", large)
		if err != nil || !bytes.Equal(got, large) {
			return fmt.Errorf("%d bytes, %v", len(got), err)
		}
		_, err = invoke(ctx, conn, "Echo", make([]byte, 5_000_010))
		return wantStatus(err, codes.ResourceExhausted, "grpc: received message larger than max (5000010 vs. 4194304)")
	}},
	{"gzip both ways", func(ctx context.Context, conn *grpc.ClientConn) error {
		large := bytes.Repeat([]byte("abc"), mib/3)
		got, err := invoke(ctx, conn, "Echo", large, grpc.UseCompressor(gzip.Name))
		if err != nil || !bytes.Equal(got, large) {
			return fmt.Errorf("%d bytes, %v", len(got), err)
		}
		return nil
	}},
	{"server streaming in order", func(ctx context.Context, conn *grpc.ClientConn) error {
		s, err := open(ctx, conn, serverStream, "Count")
		if err != nil {
			return err
		}
		request := uint32Bytes(20000)
		if err := errors.Join(s.SendMsg(&request), s.CloseSend()); err != nil {
			return err
		}
		return countTo(s, 20000)
	}},
	{"client streaming", func(ctx context.Context, conn *grpc.ClientConn) error {
		s, err := open(ctx, conn, clientStream, "Sum")
		if err != nil {
			return err
		}
		message := make([]byte, 1000)
		for i := 0; i < 2000; i++ {
			if err := s.SendMsg(&message); err != nil {
				return err
			}
		}
		var answer []byte
		if err := errors.Join(s.CloseSend(), s.RecvMsg(&answer)); err != nil || string(answer) != "2000000" {
			return fmt.Errorf("%q, %v", answer, err)
		}
		return nil
	}},
	{"bidirectional, both sides at once", func(ctx context.Context, conn *grpc.ClientConn) error {
		s, err := open(ctx, conn, bidiStream, "EchoAll")
		if err != nil {
			return err
		}
		sent := make(chan error, 1)
		go func() {
			for i := 0; i < 20000; i++ {
				message := []byte(strconv.Itoa(i))
				if err := s.SendMsg(&message); err != nil {
					sent <- err
					return
				}
			}
			sent <- s.CloseSend()
		}()
		return errors.Join(countTo(s, 20000), <-sent)
	}},
	{"a slow reader holds the server back, then gets everything", func(ctx context.Context, conn *grpc.ClientConn) error {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		s, err := open(ctx, conn, serverStream, "Flood")
		if err != nil {
			return err
		}
		var request []byte
		if err := errors.Join(s.SendMsg(&request), s.CloseSend()); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond)
		// 64 MiB: while it reads, Go measures the bandwidth with a PING per round trip.
		for i := 0; i < 8192; i++ {
			var message []byte
			if err := s.RecvMsg(&message); err != nil || len(message) != 8192 {
				return fmt.Errorf("message %d: %d bytes, %v", i, len(message), err)
			}
		}
		return nil
	}},
	{"health", func(ctx context.Context, conn *grpc.ClientConn) error {
		client := healthpb.NewHealthClient(conn)
		got, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
		if err != nil || got.Status != healthpb.HealthCheckResponse_SERVING {
			return fmt.Errorf("%v, %v", got, err)
		}
		_, err = client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nope"})
		if err := wantStatus(err, codes.NotFound, "unknown service"); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		watch, err := client.Watch(ctx, &healthpb.HealthCheckRequest{Service: "nope"})
		if err != nil {
			return err
		}
		first, err := watch.Recv()
		if err != nil || first.Status != healthpb.HealthCheckResponse_SERVICE_UNKNOWN {
			return fmt.Errorf("watch: %v, %v", first, err)
		}
		return nil
	}},
}

func countTo(s grpc.ClientStream, n int) error {
	for i := 0; ; i++ {
		var message []byte
		err := s.RecvMsg(&message)
		if err == io.EOF && i == n {
			return nil
		}
		if err != nil || string(message) != strconv.Itoa(i) {
			return fmt.Errorf("message %d: %q, %v", i, message, err)
		}
	}
}
