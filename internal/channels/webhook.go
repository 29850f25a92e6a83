package channels

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"reeve/internal/notify"
	"reeve/internal/ops"
)

var _ = all.Add(notify.Definition{
	Name: "webhook",
	Doc: `Posts the message as JSON to any address. Header Reeve-Delivery is the delivery's ID, the same in every
attempt: a receiver that keeps the IDs it has seen acts once. With a secret, header Reeve-Signature is "v1=" and the hex
HMAC-SHA256, keyed with the secret, of the value of header Reeve-Timestamp, a dot, and the body as it came. To verify in
a shell, with the body in a file:

    { printf '%s.' "$timestamp"; cat body.json; } | openssl dgst -sha256 -hmac "$secret" -hex

and compare; refuse timestamps more than five minutes off. A redirect to a private address is refused unless allowed.`,
	Settings: webhookSettings{},
	Open:     notify.Typed(openWebhook),
})

type webhookSettings struct {
	URL     notify.Secret     `json:"url" doc:"Address to post to. It is not shown, because it often holds a token."`
	Secret  notify.Secret     `json:"secret,omitempty" doc:"Key of the signature; without it messages are not signed."`
	Headers map[string]string `json:"headers,omitempty" doc:"Headers to send along; a value may be file:PATH, env:NAME or sealed:NAME."`
	notify.Reach
}

type webhookChannel struct {
	settings webhookSettings
	client   *http.Client
	headers  map[string]string
	now      func() time.Time
}

func openWebhook(env notify.Env, s webhookSettings) (notify.Channel, error) {
	if u, err := url.Parse(s.URL.Reveal()); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, ops.Errorf(ops.Invalid, "setting url: is not an http or https address")
	}
	headers := map[string]string{}
	for name, setting := range s.Headers {
		value, err := notify.ReadSecret(setting, env.Sealed)
		if err != nil {
			return nil, err
		}
		headers[name] = value.Reveal()
	}
	client, err := env.HTTP(s.Reach)
	if err != nil {
		return nil, err
	}
	return &webhookChannel{settings: s, client: client, headers: headers, now: env.Now}, nil
}

func (w *webhookChannel) Send(ctx context.Context, m ops.Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return notify.Refused(err, "the message cannot be written as JSON")
	}
	timestamp := strconv.FormatInt(w.now().Unix(), 10)
	headers := map[string]string{}
	for name, value := range w.headers {
		headers[name] = value
	}
	headers["Reeve-Delivery"] = m.ID
	headers["Reeve-Event"] = string(m.Event)
	headers["Reeve-Timestamp"] = timestamp
	if w.settings.Secret.Set() {
		headers["Reeve-Signature"] = "v1=" + webhookSignature(w.settings.Secret.Reveal(), timestamp, body)
	}
	_, err = notify.Exchange(ctx, w.client, notify.Request{URL: w.settings.URL.Reveal(), Header: headers, Body: body})
	return err
}

func webhookSignature(secret, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(timestamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
