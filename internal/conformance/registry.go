package main

import (
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/olareg/olareg"
	"github.com/olareg/olareg/config"
)

// registry is an OCI registry in this process, on a loopback port, that keeps its content
// in memory.
type registry struct {
	host string
	stop func() error
}

func startRegistry() (*registry, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	store := olareg.New(config.Config{
		Storage: config.ConfigStorage{StoreType: config.StoreMem, GC: config.ConfigGC{Frequency: -1}},
		Log:     slog.New(slog.DiscardHandler),
	})
	server := &http.Server{Handler: store, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }() // ends with Close
	return &registry{
		host: listener.Addr().String(),
		stop: func() error { return errors.Join(server.Close(), store.Close()) },
	}, nil
}
