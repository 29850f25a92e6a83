package notify

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"reeve/internal/ops"
)

// A Definition is a type of channel as the catalogue holds it.
type Definition struct {
	Name string
	Doc  string
	// Settings is the zero value of the struct of its settings: its json, doc,
	// enum and default tags are what people read. A field is required unless
	// its json tag says omitempty.
	Settings any
	// Open makes a channel of the settings that a person wrote. It must not
	// reach the network. Typed makes it of a typed function.
	Open func(env Env, raw map[string]any) (Channel, error)
}

// Typed makes the Open of a Definition of a function that takes the settings
// struct.
func Typed[S any](open func(Env, S) (Channel, error)) func(Env, map[string]any) (Channel, error) {
	return func(env Env, raw map[string]any) (Channel, error) {
		var settings S
		if err := decode(raw, &settings, env.Sealed); err != nil {
			return nil, err
		}
		return open(env, settings)
	}
}

// A Channel gives a message its form and hands it to one receiver. Send is
// called by several goroutines at once. The same message may be sent again
// under the same ID: where the receiver can tell, it is told. An error is a
// *Failure, or is treated as one that may pass.
type Channel interface {
	Send(ctx context.Context, m ops.Message) error
}

// An Env is everything that a channel may touch.
type Env struct {
	Log *slog.Logger
	// HTTP makes a client whose redirects are guarded; see Reach.
	HTTP func(Reach) (*http.Client, error)
	// Dial reaches the network for what is not HTTP.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	Now  func() time.Time
	// Sealed opens sealed settings.
	Sealed Opener
	// PublicURL is where people reach this server's page, "" when unknown.
	PublicURL string
}

// NewEnv makes the Env of a live server.
func NewEnv(log *slog.Logger, sealed Opener, publicURL string) Env {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return Env{Log: log, HTTP: NewClient, Dial: dialer.DialContext, Now: time.Now, Sealed: sealed, PublicURL: publicURL}
}

// A Failure says why a message was not taken and whether it makes sense to
// try again. Its message is for people and holds no secret.
type Failure struct {
	// Permanent says that the same attempt will fail again until a person
	// changes something: wrong credentials, a receiver that refuses the form.
	Permanent bool
	// Nobody says that the message is known to have reached nobody, so that
	// the attempt does not count. It is false when in doubt.
	Nobody bool
	// RetryAfter is how long the receiver asks to be left alone; zero when it
	// said nothing.
	RetryAfter time.Duration
	Message    string
	Err        error
}

func (f *Failure) Error() string { return f.Message }

func (f *Failure) Unwrap() error { return f.Err }

// Refused makes a permanent Failure: the receiver said no, or was not asked.
func Refused(cause error, message string) *Failure {
	return &Failure{Permanent: true, Nobody: true, Message: message, Err: cause}
}

// Unreached makes a Failure that may pass.
func Unreached(cause error, message string) *Failure {
	return &Failure{Message: message, Err: cause}
}

// AsFailure answers what a channel's error says; an unclassed one may pass
// and its text is not shown.
func AsFailure(err error) *Failure {
	if f, ok := errors.AsType[*Failure](err); ok {
		return f
	}
	if message, _ := ops.Shown(err); message != "" {
		return Unreached(err, message)
	}
	return Unreached(err, "the channel failed; the server's log says why")
}
