package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

func unary(name string, handle func(context.Context, []byte) ([]byte, error)) grpc.MethodDesc {
	return grpc.MethodDesc{
		MethodName: name,
		Handler: func(_ any, ctx context.Context, dec func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			var request []byte
			if err := dec(&request); err != nil {
				return nil, err
			}
			response, err := handle(ctx, request)
			return &response, err
		},
	}
}

var service = grpc.ServiceDesc{
	ServiceName: "t.T",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{
		unary("Echo", func(ctx context.Context, request []byte) ([]byte, error) {
			in, _ := metadata.FromIncomingContext(ctx)
			first := ""
			if values := in.Get("ping"); len(values) > 0 {
				first = values[0]
			}
			_ = grpc.SetHeader(ctx, metadata.Pairs("first", first))
			_ = grpc.SetTrailer(ctx, metadata.Pairs("last-bin", "\x00\x01\xff"))
			return request, nil
		}),
		unary("Fail", func(context.Context, []byte) ([]byte, error) {
			return nil, status.Error(codes.FailedPrecondition, text)
		}),
		unary("Hang", func(ctx context.Context, _ []byte) ([]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}),
	},
	Streams: []grpc.StreamDesc{
		{StreamName: "Count", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			var request []byte
			if err := s.RecvMsg(&request); err != nil {
				return err
			}
			for i := uint32(0); i < binary.BigEndian.Uint32(request); i++ {
				message := []byte(strconv.Itoa(int(i)))
				if err := s.SendMsg(&message); err != nil {
					return err
				}
			}
			return nil
		}},
		{StreamName: "Flood", ServerStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			message := make([]byte, 8192)
			for {
				if err := s.SendMsg(&message); err != nil {
					return err
				}
			}
		}},
		{StreamName: "Sum", ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			total := 0
			for {
				var message []byte
				err := s.RecvMsg(&message)
				if err == io.EOF {
					answer := []byte(strconv.Itoa(total))
					return s.SendMsg(&answer)
				}
				if err != nil {
					return err
				}
				total += len(message)
			}
		}},
		{StreamName: "EchoAll", ServerStreams: true, ClientStreams: true, Handler: func(_ any, s grpc.ServerStream) error {
			for {
				var message []byte
				err := s.RecvMsg(&message)
				if err == io.EOF {
					return nil
				}
				if err != nil {
					return err
				}
				if err := s.SendMsg(&message); err != nil {
					return err
				}
			}
		}},
	},
}

// serve prints its port and runs until its standard input ends, so that it cannot outlive the test.
func serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(bytesCodec{}))
	server.RegisterService(&service, nil)
	// The health messages are protobuf, so that service has a server, and a port, of its own.
	healthListener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	healthServer := grpc.NewServer()
	healthpb.RegisterHealthServer(healthServer, health.NewServer())
	go func() { _ = healthServer.Serve(healthListener) }()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	fmt.Printf("%d %d\n", listener.Addr().(*net.TCPAddr).Port, healthListener.Addr().(*net.TCPAddr).Port)
	_ = server.Serve(listener)
}
