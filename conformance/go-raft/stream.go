package main

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/raft"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nuid"
)

// handshake opens a stream: from the dialer with its id, from the acceptor without.
type handshake struct {
	ID    string `json:"id,omitempty"`
	Inbox string `json:"inbox"`
}

// layer makes streams of bytes out of NATS inboxes, two for each stream: what is published to an
// inbox is what its owner reads, an empty message is the end.
type layer struct {
	nc     *nats.Conn
	prefix string
	id     string
	accept *nats.Subscription
}

func newLayer(nc *nats.Conn, namespace, id string) (*layer, error) {
	prefix := namespace + ".raft.metadata."
	accept, err := nc.SubscribeSync(prefix + id + ".accept")
	if err != nil {
		return nil, err
	}
	return &layer{nc: nc, prefix: prefix, id: id, accept: accept}, nc.Flush()
}

func (l *layer) open() (*stream, error) {
	inbox := l.prefix + l.id + ".request._INBOX." + nuid.Next()
	sub, err := l.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, -1); err != nil {
		return nil, err
	}
	return &stream{nc: l.nc, sub: sub, inbox: inbox}, nil
}

// Accept waits for a peer to dial.
func (l *layer) Accept() (net.Conn, error) {
	for {
		msg, err := l.accept.NextMsg(time.Hour)
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			return nil, err
		}
		var dial handshake
		if json.Unmarshal(msg.Data, &dial) != nil || msg.Reply == "" {
			continue
		}
		conn, err := l.open()
		if err != nil {
			return nil, err
		}
		conn.peer = dial.Inbox
		answer, err := json.Marshal(handshake{Inbox: conn.inbox})
		if err != nil {
			return nil, err
		}
		if err := msg.Respond(answer); err != nil {
			return nil, err
		}
		return conn, nil
	}
}

// Dial opens a stream to a peer.
func (l *layer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := l.open()
	if err != nil {
		return nil, err
	}
	request, err := json.Marshal(handshake{ID: l.id, Inbox: conn.inbox})
	if err != nil {
		return nil, err
	}
	msg, err := l.nc.Request(l.prefix+string(address)+".accept", request, timeout)
	if err != nil {
		return nil, errors.Join(err, conn.sub.Unsubscribe())
	}
	var accepted handshake
	if err := json.Unmarshal(msg.Data, &accepted); err != nil {
		return nil, err
	}
	conn.peer = accepted.Inbox
	return conn, nil
}

func (l *layer) Close() error   { return l.accept.Unsubscribe() }
func (l *layer) Addr() net.Addr { return address(l.id) }

type address string

func (a address) Network() string { return "nats" }
func (a address) String() string  { return string(a) }

// stream is one side of a stream.
type stream struct {
	nc          *nats.Conn
	sub         *nats.Subscription
	inbox, peer string
	rest        []byte
	mu          sync.Mutex
	deadline    time.Time
	ended       bool
}

func (s *stream) Read(into []byte) (int, error) {
	for len(s.rest) == 0 {
		s.mu.Lock()
		deadline, ended := s.deadline, s.ended
		s.mu.Unlock()
		if ended {
			return 0, io.EOF
		}
		wait := time.Hour
		if !deadline.IsZero() {
			wait = time.Until(deadline)
		}
		if wait <= 0 {
			return 0, os.ErrDeadlineExceeded
		}
		msg, err := s.sub.NextMsg(wait)
		if errors.Is(err, nats.ErrTimeout) {
			continue
		}
		if err != nil {
			return 0, io.EOF
		}
		if len(msg.Data) == 0 {
			return 0, s.end(false)
		}
		s.rest = msg.Data
	}
	count := copy(into, s.rest)
	s.rest = s.rest[count:]
	return count, nil
}

func (s *stream) Write(bytes []byte) (int, error) {
	written := 0
	for written < len(bytes) {
		part := bytes[written:min(len(bytes), written+int(s.nc.MaxPayload()))]
		if err := s.nc.Publish(s.peer, part); err != nil {
			return written, err
		}
		written += len(part)
	}
	return written, nil
}

// end stops listening, once, and says so to the peer if it has to be told.
func (s *stream) end(tell bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return io.EOF
	}
	s.ended = true
	if err := s.sub.Unsubscribe(); err != nil {
		return err
	}
	if tell {
		if err := s.nc.Publish(s.peer, nil); err != nil {
			return err
		}
	}
	return io.EOF
}

func (s *stream) Close() error {
	if err := s.end(true); err != io.EOF {
		return err
	}
	return nil
}

func (s *stream) LocalAddr() net.Addr              { return address(s.inbox) }
func (s *stream) RemoteAddr() net.Addr             { return address(s.peer) }
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
func (s *stream) SetDeadline(at time.Time) error   { return s.SetReadDeadline(at) }

func (s *stream) SetReadDeadline(at time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = at
	return nil
}
