// Command sigstore reads Sigstore's trusted root from a mirror of Sigstore's TUF
// repository in an OCI registry, and prints which services it trusts.
//
// It is an ordinary sigstore-go program. Only where its metadata comes from is
// changed, with tuf.Options.WithFetcher; sigstore-go still verifies all of it
// from the root that it carries, so that the registry need not be trusted.
//
// A mirror is made, for instance with sigstore-go's own root as root.json, by
//
//	tufoci mirror copy https://tuf-repo-cdn.sigstore.dev registry.example.com/mirror/sigstore --root root.json
//
// and read by
//
//	go run . registry.example.com/mirror/sigstore
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/tufoci/tufoci/fetcher"
	"github.com/tufoci/tufoci/ociremote"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "Error:", err)
		}
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdout io.Writer) error {
	opts := tuf.DefaultOptions()
	flags := flag.NewFlagSet("sigstore", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(flags.Output(), "usage: sigstore [flags] REGISTRY/REPOSITORY[:TAG]")
		flags.PrintDefaults()
	}
	flags.StringVar(&opts.CachePath, "cache", opts.CachePath, "where sigstore-go keeps what it has verified")
	rootFile := flags.String("root", "", "the root.json to trust, instead of the one in sigstore-go")
	plainHTTP := flags.Bool("plain-http", false, "reach the registry without TLS")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		flags.Usage()
		return errors.New("one repository is needed")
	}
	if *rootFile != "" {
		data, err := os.ReadFile(*rootFile)
		if err != nil {
			return err
		}
		opts = opts.WithRoot(data)
	}

	client, err := ociremote.NewClient(ociremote.Options{PlainHTTP: *plainHTTP, UserAgent: "tufoci-example-sigstore"})
	if err != nil {
		return err
	}
	defer client.HTTP().CloseIdleConnections()
	source, err := fetcher.ParseSource(flags.Arg(0))
	if err != nil {
		return err
	}
	f := fetcher.New(ctx, source, fetcher.Options{Client: client})

	// These two options make sigstore-go read from the registry. The URL is a
	// name: sigstore-go keeps one cache for each.
	opts = opts.WithFetcher(f).WithRepositoryBaseURL(f.BaseURL())
	sigstore, err := tuf.New(opts)
	if err != nil {
		return err
	}
	trusted, err := root.GetTrustedRoot(sigstore)
	if err != nil {
		return err
	}
	return report(stdout, source, trusted)
}

// report prints one line for each service of the trusted root.
func report(w io.Writer, source fetcher.Source, trusted *root.TrustedRoot) error {
	var services []string
	for _, ca := range trusted.FulcioCertificateAuthorities() {
		if fulcio, ok := ca.(*root.FulcioCertificateAuthority); ok {
			services = append(services, "certificate authority   "+fulcio.URI)
		}
	}
	for _, log := range trusted.RekorLogs() {
		services = append(services, "transparency log        "+log.BaseURL)
	}
	for _, log := range trusted.CTLogs() {
		services = append(services, "certificate log         "+log.BaseURL)
	}
	for _, authority := range trusted.TimestampingAuthorities() {
		if tsa, ok := authority.(*root.SigstoreTimestampingAuthority); ok {
			services = append(services, "timestamping authority  "+tsa.URI)
		}
	}
	if _, err := fmt.Fprintf(w, "Sigstore's trusted root from %s names %d services:\n", source, len(services)); err != nil {
		return err
	}
	counts := map[string]int{}
	for _, service := range services {
		counts[service]++
	}
	for _, service := range slices.Sorted(maps.Keys(counts)) {
		if _, err := fmt.Fprintf(w, "%s (%d)\n", service, counts[service]); err != nil {
			return err
		}
	}
	return nil
}
