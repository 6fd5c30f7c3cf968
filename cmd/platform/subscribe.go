package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tidewire/channels"
)

func (c *cli) subscribeCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "subscribe CHANNEL…",
		Short: "Print events as they arrive",
		Long: "Print events as they arrive, until Ctrl-C. A lost connection is made again; events of the\n" +
			"time in between are not seen. Private channels are signed with the app's secret.",
		Example: "  platform subscribe orders private-orders --app 1001\n" +
			"  platform subscribe orders --app 1001 --json | jq .data",
		Args: arguments(1, -1, "at least one CHANNEL"),
	}
	t := targetFlags(cmd)
	asJSON := cmd.Flags().Bool("json", false, "print one JSON object per event and line")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := c.load(cmd)
		if err != nil {
			return err
		}
		base, err := t.base(cfg)
		if err != nil {
			return err
		}
		signed, err := checkChannels(args)
		if err != nil {
			return err
		}
		tail := tail{base: base, channels: args, event: c.printEvent, note: c.note}
		if *asJSON {
			tail.event = c.printEventJSON
		}
		// The key alone is enough for public channels.
		tail.key.Key = *t.key
		if signed || *t.key == "" {
			if tail.key, err = c.credentials(cmd, t); err != nil {
				return err
			}
		}
		return tail.run(cmd.Context())
	}
	return cmd
}

// checkChannels refuses names no server would accept, and reports whether a
// subscription must be signed.
func checkChannels(names []string) (signed bool, err error) {
	for i, name := range names {
		kind, err := channels.Classify(name)
		if err != nil {
			return false, usagef("channel %q: %w", name, err)
		}
		if kind.Presence() || kind.ServerToUser() {
			return false, usagef("channel %q: this command has no user to join it as; subscribe to public and private channels", name)
		}
		if slices.Contains(names[:i], name) {
			return false, usagef("channel %q is given twice", name)
		}
		signed = signed || kind.NeedsAuth()
	}
	return signed, nil
}

// receivedEvent is one event as --json prints it.
type receivedEvent struct {
	Time    time.Time `json:"time"` // of arrival
	Channel string    `json:"channel"`
	Event   string    `json:"event"`
	Data    string    `json:"data"` // as it was published
}

func (c *cli) printEvent(e receivedEvent) error {
	// Quoted if it holds anything a terminal would act on: events come from strangers.
	_, err := fmt.Fprintf(c.stdout, "%s  %s  %s  %s\n", e.Time.Format("15:04:05.000"), printableText(e.Channel), printableText(e.Event), printableText(e.Data))
	return err
}

func (c *cli) printEventJSON(e receivedEvent) error {
	enc := json.NewEncoder(c.stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(e)
}

// note tells about the connection, beside the events.
func (c *cli) note(format string, args ...any) {
	fmt.Fprintf(c.stderr, "platform: "+format+"\n", args...)
}

// errInterrupted is how a tail ends on Ctrl-C.
var errInterrupted = errors.New("interrupted")

// run tails until ctx ends, which is no error, or the server refuses for good.
func (t *tail) run(ctx context.Context) error {
	wait := backoff{}
	for {
		subscribed, err := t.session(ctx)
		if ctx.Err() != nil || errors.Is(err, errInterrupted) {
			return nil
		}
		if final := (*refusedError)(nil); errors.As(err, &final) {
			return err
		}
		if subscribed {
			wait = backoff{}
		}
		pause := wait.next(err)
		t.note("%v; trying again in %s", oneLine(err.Error()), pause.Round(10*time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
	}
}
