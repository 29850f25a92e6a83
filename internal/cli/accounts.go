package cli

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"reeve/internal/client"
	"reeve/internal/term"
)

type userRow struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Role      string    `json:"role"`
	OIDC      bool      `json:"oidc"`
	CreatedAt time.Time `json:"created_at"`
	Disabled  bool      `json:"disabled"`
}

func (s *session) signinVerb() *cobra.Command {
	return &cobra.Command{
		Use: "signin", Aliases: []string{"sign-in"}, Short: "Print a one-time link that signs an admin in to the page, on this machine", Example: "  reeve signin", Args: takes(0, 0, ""),
		RunE: func(c *cobra.Command, _ []string) error {
			var link struct {
				URL     string    `json:"url"`
				Expires time.Time `json:"expires_at"`
			}
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/session/links", nil, &link)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.page.Line("%s", strings.Map(printable, link.URL))
			s.page.Line("%s", s.page.Paint(term.Faint, "works once, in a browser on the machine of the server, until "+link.Expires.Local().Format("15:04")))
			return nil
		},
	}
}

func (s *session) usersVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "users", Aliases: []string{"user"}, Short: "List the accounts, make one or delete one", Args: cobra.ArbitraryArgs,
		Example: "  reeve users\n  reeve users add ada --role operator    # asks for the password\n  reeve users remove ada",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			var l client.List
			text, err := s.server.Fetch(c.Context(), "/api/v1/users", &l)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			all, err := client.Read[userRow](l)
			if err != nil {
				return err
			}
			t := s.page.Table("!ID", "NAME", "!ROLE", "STATE", "SIGNS IN", "SINCE")
			for _, u := range all {
				state, how := "active", "password or link"
				if u.Disabled {
					state = "disabled"
				}
				if u.OIDC {
					how = "provider"
				}
				t.Add(term.Of(u.ID), term.Of(u.Name), term.Of(u.Role), term.Of(state), term.Of(how), term.Of(term.Stamp(u.CreatedAt)))
			}
			t.Print()
			return nil
		},
	}
	c.AddCommand(s.userAddVerb(), s.userRemoveVerb())
	return c
}

func (s *session) userAddVerb() *cobra.Command {
	var role string
	c := &cobra.Command{
		Use: "add NAME", Short: "Make an account; its password is asked for, or read from standard input", Args: takes(1, 1, "a name"),
		Example: "  reeve users add ada --role operator\n  pass show reeve/ada | reeve users add ada --role viewer",
		RunE: func(c *cobra.Command, args []string) error {
			password, err := s.secret("Password for "+term.Safe(args[0])+": ", false)
			if err != nil {
				return err
			}
			var u userRow
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/users", map[string]any{"name": args[0], "role": role, "password": password}, &u)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			s.page.Line("%s is an account with the role %s", term.Safe(u.Name), term.Safe(u.Role))
			return nil
		},
	}
	c.Flags().StringVar(&role, "role", "viewer", "viewer, operator or admin")
	return c
}

// maxSecretBytes bounds a secret that is read: some more than is taken, so that
// one that is cut is refused.
const maxSecretBytes = 16<<10 + 3

// secret asks for a secret without showing it; from a pipe it reads a line, or
// the whole.
func (s *session) secret(prompt string, whole bool) (string, error) {
	if f, ok := s.program.In.(interface{ Fd() uintptr }); ok {
		if t, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS); err == nil {
			fmt.Fprint(s.program.Err, prompt)
			whole = false
			quiet := *t
			quiet.Lflag &^= unix.ECHO
			if err := unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, &quiet); err != nil {
				return "", fmt.Errorf("hide what is typed: %w", err)
			}
			defer func() {
				_ = unix.IoctlSetTermios(int(f.Fd()), unix.TCSETS, t) // The terminal went away.
				fmt.Fprintln(s.program.Err)
			}()
		}
	}
	in := bufio.NewReader(io.LimitReader(s.program.In, maxSecretBytes))
	line, err := in.ReadString('\n')
	if whole && err == nil {
		var rest []byte
		rest, err = io.ReadAll(in)
		line += string(rest)
	}
	line = strings.TrimRight(line, "\r\n")
	if line == "" {
		return "", wrongUse("nothing came from standard input")
	}
	if err != nil && err != io.EOF {
		return "", fmt.Errorf("read standard input: %w", err)
	}
	return line, nil
}

func (s *session) userRemoveVerb() *cobra.Command {
	return &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Delete an account with its tokens", Example: "  reeve users remove ada", Args: takes(1, 1, "a name or an ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return s.removeNamed(c.Context(), "user", "/api/v1/users", args[0])
		},
	}
}

// removeNamed deletes a thing that has an ID and a name.
func (s *session) removeNamed(ctx context.Context, what, path, typed string) error {
	id, err := s.server.ExactID(ctx, what, path, typed)
	if err != nil {
		return err
	}
	if _, err := s.server.Call(ctx, http.MethodDelete, path+"/"+url.PathEscape(id), nil, nil); err != nil {
		return err
	}
	return s.done(map[string]any{"id": id, "removed": true}, "the %s %s is deleted", what, term.Safe(typed))
}

type tokenRow struct {
	ID        string    `json:"id"`
	Name      string    `json:"name"`
	Scopes    []string  `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at"`
	UsedAt    time.Time `json:"last_used_at"`
	Secret    string    `json:"secret"`
}

func (s *session) tokensVerb() *cobra.Command {
	c := &cobra.Command{
		Use: "tokens", Aliases: []string{"token"}, Short: "List the API tokens, make one or revoke one", Args: cobra.ArbitraryArgs,
		Example: "  reeve tokens\n  reeve tokens add grafana --scope metrics:read --expires 365d\n  reeve tokens remove grafana",
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return group(c, args)
			}
			var l client.List
			text, err := s.server.Fetch(c.Context(), "/api/v1/tokens", &l)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			all, err := client.Read[tokenRow](l)
			if err != nil {
				return err
			}
			t := s.page.Table("!ID", "NAME", "SCOPES", "MADE", "EXPIRES", "USED")
			for _, x := range all {
				t.Add(term.Of(x.ID), term.Of(x.Name), term.Of(strings.Join(x.Scopes, ", ")), term.Of(term.Stamp(x.CreatedAt)), term.Of(cmp.Or(term.Stamp(x.ExpiresAt), "never")), term.Of(cmp.Or(term.Stamp(x.UsedAt), "never")))
			}
			t.Print()
			return nil
		},
	}
	c.AddCommand(s.tokenAddVerb(), &cobra.Command{
		Use: "remove NAME", Aliases: []string{"rm"}, Short: "Revoke an API token", Example: "  reeve tokens remove grafana", Args: takes(1, 1, "a name or an ID"),
		RunE: func(c *cobra.Command, args []string) error {
			return s.removeNamed(c.Context(), "token", "/api/v1/tokens", args[0])
		},
	})
	return c
}

func (s *session) tokenAddVerb() *cobra.Command {
	var scopes []string
	var expires string
	c := &cobra.Command{
		Use: "add NAME", Short: "Make an API token; its secret is shown once", Args: takes(1, 1, "a name"),
		Example: "  reeve tokens add grafana --scope metrics:read\n  reeve tokens add ci --scope read,operate --expires 30d",
		RunE: func(c *cobra.Command, args []string) error {
			body := map[string]any{"name": args[0], "scopes": scopes}
			if expires != "" {
				at, err := parseUntil(expires, time.Now())
				if err != nil {
					return err
				}
				body["expires_at"] = at.UTC()
			}
			var x tokenRow
			text, err := s.server.Call(c.Context(), http.MethodPost, "/api/v1/tokens", body, &x)
			if err != nil || s.json() {
				return s.documentOr(text, err)
			}
			// The secret is printed as it is: masking it would make it useless.
			s.page.Line("%s", strings.Map(printable, x.Secret))
			s.page.Line("%s", s.page.Paint(term.Faint, "shown only now; send it as Authorization: Bearer, or set REEVE_TOKEN"))
			return nil
		},
	}
	c.Flags().StringSliceVar(&scopes, "scope", []string{"read"}, "read, operate, admin, metrics:read, metrics:write; several with commas")
	c.Flags().StringVar(&expires, "expires", "", "when it ends: 90d or 2026-12-31; never when left out")
	return c
}

// printable drops what is no visible ASCII.
func printable(r rune) rune {
	if r <= ' ' || r > '~' {
		return -1
	}
	return r
}
