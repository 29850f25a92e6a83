package cli

import (
	"context"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"reeve/internal/client"
	"reeve/internal/ops"
	"reeve/internal/show"
	"reeve/internal/term"
)

func (s *session) channelsVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "channels", Short: "List the channels that people are told through, or send a test message",
		Example: "  reeve channels\n  reeve channels test phone", Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			return s.listChannels(c.Context())
		},
	}
	c.AddCommand(&cobra.Command{
		Use: "test NAME", Short: "Send a test message through a channel", Example: "  reeve channels test phone", Args: takes(1, 1, "the name of a channel"),
		RunE: func(c *cobra.Command, args []string) error {
			if _, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/channels/"+url.PathEscape(args[0])+"/test", nil, nil); err != nil {
				return err
			}
			if s.json() {
				return s.page.Value(map[string]any{"channel": args[0], "sent": true})
			}
			s.page.Line("the channel %s took the test message; look whether it arrived", term.Safe(args[0]))
			return nil
		},
	})
	return c
}

func (s *session) listChannels(ctx context.Context) error {
	var l client.List
	text, err := s.server.Fetch(ctx, "/api/v1/channels", &l)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	all, err := client.Read[show.ChannelRow](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no channels: nobody is told of findings. Declare some under channels in reeve.yaml; `reeve channel-types` lists what there is")
		return nil
	}
	show.Channels(s.page, all)
	return nil
}

func (s *session) deliveriesVerb() *cobra.Command {
	var state, channel, incident string
	var limit int
	c := &cobra.Command{
		Use: "deliveries [ID]", Aliases: []string{"delivery"}, Short: "List messages to channels, the newest first, or show one", Args: takes(0, 1, "the ID of a delivery"),
		Example: "  reeve deliveries --state dead\n  reeve deliveries --channel phone --limit 20",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				return s.oneDelivery(c.Context(), args[0])
			}
			q := url.Values{}
			set(q, "state", state)
			set(q, "channel", channel)
			if incident != "" {
				id, err := s.server.IncidentID(c.Context(), incident)
				if err != nil {
					return err
				}
				q.Set("incident", id)
			}
			l, err := s.server.Listed(c.Context(), "/api/v1/deliveries", q, limit)
			if err != nil {
				return err
			}
			return s.listDeliveries(l, q)
		},
	}
	f := c.Flags()
	f.StringVar(&state, "state", "", "queued, sending, delivered, dead or dropped; several with commas")
	f.StringVar(&channel, "channel", "", "only to this channel")
	f.StringVar(&incident, "incident", "", "only about this incident")
	f.IntVar(&limit, "limit", 50, "how many at most; 0 for all")
	return c
}

func (s *session) listDeliveries(l client.List, q url.Values) error {
	if s.json() {
		return s.page.Value(l)
	}
	all, err := client.Read[ops.Delivery](l)
	if err != nil {
		return err
	}
	if len(all) == 0 {
		s.page.Line("no deliveries%s", suchAs(q))
		return nil
	}
	show.Deliveries(s.page, all)
	s.more(l)
	return nil
}

func (s *session) oneDelivery(ctx context.Context, typed string) error {
	id, err := s.server.DeliveryID(ctx, typed)
	if err != nil {
		return err
	}
	var d ops.Delivery
	text, err := s.server.Fetch(ctx, "/api/v1/deliveries/"+url.PathEscape(id), &d)
	if err != nil || s.json() {
		return s.documentOr(text, err)
	}
	show.Delivery(s.page, d)
	return nil
}
