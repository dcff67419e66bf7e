package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/tufoci/tufoci/upkeep"
)

// refreshJitter keeps the daemons of many repositories from asking all at once.
const refreshJitter = 0.1

// daemon is a refresh that goes on.
type daemon struct {
	app  *app
	args []string
	o    *refreshOptions
	last *refreshResult // of the last run, nil if it failed
}

// every refreshes now, and again, until ctx ends. What is wrong with the command line
// or the keys ends it at the start; no failure does later.
func (a *app) every(ctx context.Context, args []string, o *refreshOptions) error {
	if time.Duration(o.every) < time.Second {
		return usagef("--every is a second or more")
	}
	d := &daemon{app: a, args: args, o: o}
	o.keyring = newKeyring()
	// Before anything listens: what is wrong with the command line is found now.
	name := a.global.workspace
	err := a.withKept(ctx, args, &o.upkeepFlags, func(k *kept) error {
		name = k.ref.String()
		_, err := a.refreshKeys(ctx, k, o)
		return err
	})
	if err != nil && a.report(err).ExitCode != exitLocked {
		return err
	}
	loop := upkeep.New(d.run, upkeep.Options{
		Every: time.Duration(o.every), Retry: min(watchPace, time.Duration(o.every)), Jitter: refreshJitter,
		Fatal: d.fatal, OnRun: d.done, Repository: name, Now: a.world.Now,
	})
	if o.listen != "" {
		listener, err := net.Listen("tcp", o.listen)
		if err != nil {
			return &listenError{err}
		}
		fmt.Fprintf(a.world.Stderr, "listening on %s\n", listener.Addr())
		defer a.answer(listener, loop.Handler())()
	}
	return loop.Run(ctx)
}

// fatal reports whether an error is about the command line, the pin or the keys. A
// workspace that is locked, and whatever the registry does, may be better next time.
func (d *daemon) fatal(err error) bool {
	return slices.Contains([]int{exitUsage, exitKey, exitNoTrust}, d.app.report(err).ExitCode)
}

// run refreshes once, within --timeout.
func (d *daemon) run(ctx context.Context) (*upkeep.Outcome, error) {
	limit := time.Duration(d.app.global.timeout)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, &timeoutError{limit: limit})
	defer cancel()
	d.last = nil
	err := d.app.withKept(ctx, d.args, &d.o.upkeepFlags, func(k *kept) (err error) {
		d.last, err = d.app.runRefresh(ctx, k, d.o)
		return err
	})
	if late, ok := errors.AsType[*timeoutError](context.Cause(ctx)); ok && err != nil {
		err = &timeoutError{limit: late.limit, err: err}
	}
	if d.last == nil {
		return nil, err
	}
	return d.last.outcome(), err
}

// done prints a line for each run, and with --format json the document that a run
// prints alone.
func (d *daemon) done(r upkeep.Report) {
	d.log(r)
	if d.app.global.format == formatJSON {
		d.show(r.Err)
	}
	d.app.forgetWarnings()
}

func (d *daemon) show(err error) {
	var shown result = d.last
	if d.last == nil {
		shown = &failure{}
	}
	if err != nil {
		shown.common().Error = d.app.report(err)
	}
	if err := d.app.print(shown); err != nil {
		d.app.warn(err.Error())
	}
}

func (d *daemon) log(r upkeep.Report) {
	if r.Late > watchPace {
		d.app.warn(fmt.Sprintf("this run began %s late: the machine slept, or was busy", formatSpan(r.Late)))
	}
	if r.Err == nil && d.app.global.quiet {
		return
	}
	line := []string{r.Ended.UTC().Format(time.RFC3339)}
	if r.Err != nil {
		line = append(line, fmt.Sprintf("failed (%d in a row): %s;", r.Failures, d.app.report(r.Err).What))
	}
	if r.Outcome != nil {
		line = append(line, d.newest(r.Outcome)+";")
	}
	line = append(line, "next run in "+formatSpan(r.Next.Sub(r.Ended)))
	fmt.Fprintln(d.app.world.Stderr, printable(oneLine(strings.Join(line, " "))))
}

// newest says how a run left the repository.
func (d *daemon) newest(o *upkeep.Outcome) string {
	var parts []string
	for _, r := range o.Roles {
		if r.Role == "timestamp" {
			parts = append(parts, versionText(r.Role, r.Version)+" "+expiry(r.Expires, d.app.world.Now()))
		}
	}
	if n := len(o.Waiting); n > 0 {
		parts = append(parts, fmt.Sprintf("%d due for others to sign", n))
	}
	if n := len(o.Copies); n > 0 {
		failed := 0
		for _, c := range o.Copies {
			if c.Err != nil {
				failed++
			}
		}
		parts = append(parts, fmt.Sprintf("%d of %d copies current", n-failed, n))
	}
	return strings.Join(parts, ", ")
}

// outcome is the result for a loop.
func (r *refreshResult) outcome() *upkeep.Outcome {
	o := &upkeep.Outcome{Roles: r.lives, Waiting: r.waiting, Keys: r.keys}
	for _, p := range r.Proposals {
		if p.Status == proposalFolded {
			o.Proposals++
		}
	}
	for _, c := range r.Beside {
		now := upkeep.Copy{Name: c.Repository}
		if c.Error != nil {
			now.Err = errors.New(c.Error.What)
		} else {
			now.Version = c.To
		}
		for _, l := range r.lives {
			if l.Role == "timestamp" && l.Version == now.Version {
				now.Expires = l.Expires
			}
		}
		o.Copies = append(o.Copies, now)
	}
	return o
}
