package channels

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/discord"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/googlechat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/lark"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/matrix"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/mattermost"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/rocketchat"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/signal"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/slack"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/teams"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/telegram"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/wecom"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/chat/zulip"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/opsgenie"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/incident/pagerduty"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/bark"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/gotify"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ifttt"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/join"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/ntfy"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushbullet"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/push/pushover"
	"github.com/nicholas-fedor/shoutrrr/pkg/services/specialized/notifiarr"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"reeve/internal/notify"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(notify.Definition{
	Name: "shoutrrr",
	Doc: `Sends to any service that the shoutrrr library knows, by its URL: mattermost://, rocketchat://, googlechat://,
zulip://, signal://, lark://, wecom://, opsgenie://, bark://, pushbullet://, join://, ifttt://, notifiarr:// and more. Use
the types of Reeve's own where there is one: they say more about failures, escape what each service reads as markup, and
guard redirects, which the library does not. smtp:// is type email, generic:// is type webhook.`,
	Settings: shoutrrrSettings{},
	Open:     notify.Typed(openShoutrrr),
})

type shoutrrrSettings struct {
	URL notify.Secret `json:"url" doc:"URL of the service, as shoutrrr's documentation says."`
}

// shoutrrrServices is the library's own list without the three services that
// run text/template (smtp, generic, logger): one template that can be
// executed makes the linker keep every exported method of the program.
var shoutrrrServices = map[string]func() types.Service{
	"bark":       func() types.Service { return &bark.Service{} },
	"discord":    func() types.Service { return &discord.Service{} },
	"googlechat": func() types.Service { return &googlechat.Service{} },
	"hangouts":   func() types.Service { return &googlechat.Service{} },
	"ifttt":      func() types.Service { return &ifttt.Service{} },
	"join":       func() types.Service { return &join.Service{} },
	"gotify":     func() types.Service { return &gotify.Service{} },
	"lark":       func() types.Service { return &lark.Service{} },
	"matrix":     func() types.Service { return &matrix.Service{} },
	"mattermost": func() types.Service { return &mattermost.Service{} },
	"notifiarr":  func() types.Service { return &notifiarr.Service{} },
	"ntfy":       func() types.Service { return &ntfy.Service{} },
	"opsgenie":   func() types.Service { return &opsgenie.Service{} },
	"pagerduty":  func() types.Service { return &pagerduty.Service{} },
	"pushbullet": func() types.Service { return &pushbullet.Service{} },
	"pushover":   func() types.Service { return &pushover.Service{} },
	"rocketchat": func() types.Service { return &rocketchat.Service{} },
	"signal":     func() types.Service { return &signal.Service{} },
	"slack":      func() types.Service { return &slack.Service{} },
	"teams":      func() types.Service { return &teams.Service{} },
	"telegram":   func() types.Service { return &telegram.Service{} },
	"wecom":      func() types.Service { return &wecom.Service{} },
	"zulip":      func() types.Service { return &zulip.Service{} },
}

// A shoutrrrChannel sends one message at a time: the library takes no
// context, so a call that hangs is left behind, and no second one is made
// while it hangs.
type shoutrrrChannel struct {
	url     *url.URL
	scheme  string
	turn    chan struct{}
	mu      sync.Mutex
	service types.Service // made by the first send: some sign in when made
}

func openShoutrrr(_ notify.Env, s shoutrrrSettings) (notify.Channel, error) {
	at, err := url.Parse(s.URL.Reveal())
	if err != nil || at.Scheme == "" {
		return nil, ops.Errorf(ops.Invalid, "setting url: is not a shoutrrr URL such as mattermost://host/token")
	}
	scheme, _, _ := strings.Cut(at.Scheme, "+")
	switch _, known := shoutrrrServices[scheme]; {
	case scheme == "smtp":
		return nil, ops.Errorf(ops.Invalid, "setting url: use a channel of type email")
	case scheme == "generic":
		return nil, ops.Errorf(ops.Invalid, "setting url: use a channel of type webhook")
	case !known:
		return nil, ops.Errorf(ops.Invalid, "setting url: there is no service %q; known are: %s",
			redact.Line(scheme, 30), strings.Join(slices.Sorted(maps.Keys(shoutrrrServices)), ", "))
	}
	return &shoutrrrChannel{url: at, scheme: scheme, turn: make(chan struct{}, 1)}, nil
}

func (s *shoutrrrChannel) Send(ctx context.Context, m ops.Message) error {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return notify.Unreached(ctx.Err(), "an earlier message to the service has not ended")
	}
	done := make(chan error, 1)
	go func() {
		defer func() { <-s.turn }()
		done <- s.call(shoutrrrText(m))
	}()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return notify.Unreached(ctx.Err(), "the service did not answer in time")
	}
}

func (s *shoutrrrChannel) call(text string) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = notify.Unreached(fmt.Errorf("panic in shoutrrr: %v", r), "the library failed on this message")
		}
	}()
	service, err := s.open()
	if err != nil {
		return s.failure("the URL of the service is not accepted", err)
	}
	if err := service.Send(text, &types.Params{}); err != nil {
		return s.failure("the service did not take the message", err)
	}
	return nil
}

func (s *shoutrrrChannel) open() (types.Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.service != nil {
		return s.service, nil
	}
	service, at := shoutrrrServices[s.scheme](), *s.url
	address := &at
	if at.Scheme != s.scheme {
		custom, ok := service.(types.CustomURLService)
		if !ok {
			return nil, errors.New("the service takes no address of its own")
		}
		var err error
		if address, err = custom.GetConfigURLFromCustom(&at); err != nil {
			return nil, err
		}
	}
	if err := service.Initialize(address, nil); err != nil {
		return nil, err
	}
	s.service = service
	return service, nil
}

var shoutrrrAddress = regexp.MustCompile(`[a-z+]+://\S+`)

// failure classes an error of the library, which says little: what is not
// known to be the network's may pass too. Its text repeats addresses and
// tokens, which are masked.
func (s *shoutrrrChannel) failure(what string, err error) *notify.Failure {
	text := shoutrrrAddress.ReplaceAllString(err.Error(), "[address]")
	for _, part := range s.secrets() {
		text = strings.ReplaceAll(text, part, redact.Mask)
	}
	f := notify.Unreached(errors.New(text), what+": "+redact.Line(text, 200))
	if _, network := errors.AsType[net.Error](err); !network && s.service == nil {
		f.Permanent = true
	}
	return f
}

func (s *shoutrrrChannel) secrets() []string {
	parts := strings.Split(s.url.Path, "/")
	if s.url.User != nil {
		password, _ := s.url.User.Password()
		parts = append(parts, password, s.url.User.Username())
	}
	for _, values := range s.url.Query() {
		parts = append(parts, values...)
	}
	return slices.DeleteFunc(append(parts, s.url.Hostname()), func(p string) bool { return len(p) < 4 })
}

// shoutrrrText answers the message as text in which the common mentions do
// not work: services read @name and <!name> differently, none reads either
// with an invisible word joiner inside.
func shoutrrrText(m ops.Message) string {
	text := heading(m, 300) + "\n" + manyLines(m.Text, 1500)
	if m.URL != "" {
		text += "\n" + m.URL
	}
	return strings.NewReplacer("@", "@\u2060", "<!", "<\u2060!").Replace(text)
}
