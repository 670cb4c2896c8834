// Command interop is the Go side of the interoperability tests of package grpc: `interop server`
// serves the test methods with google.golang.org/grpc, `interop client ADDRESS` calls them and
// prints one line of JSON for each check. Messages are plain bytes.
package main

import (
	"fmt"
	"os"

	"google.golang.org/grpc/encoding/gzip"
)

const (
	text = "grün %25 → 😀\nzeile"
	mib  = 1 << 20
)

var _ = gzip.Name // registers gzip with grpc

func main() {
	switch {
	case len(os.Args) == 2 && os.Args[1] == "server":
		serve()
	case len(os.Args) == 3 && os.Args[1] == "client":
		os.Exit(call(os.Args[2]))
	default:
		fmt.Fprintln(os.Stderr, "usage: interop server | interop client ADDRESS")
		os.Exit(2)
	}
}

// bytesCodec sends *[]byte as it is, under the name of the protobuf codec.
type bytesCodec struct{}

func (bytesCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (bytesCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = append([]byte(nil), data...)
	return nil
}

func (bytesCodec) Name() string { return "proto" }
