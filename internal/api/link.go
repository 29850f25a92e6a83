package api

import (
	"context"
	"time"
)

// SignInLink is a link that was just made.
type SignInLink struct {
	URL       string    `json:"url" doc:"Signs an admin in, once, in a browser on the machine that Reeve runs on."`
	ExpiresAt time.Time `json:"expires_at"`
}

// newLink makes a one-time link for an admin who asks for another; the one
// made before it ends.
func (s *Server) newLink(ctx context.Context, _ noInput) (SignInLink, error) {
	now := s.now()
	token, err := NewLink(ctx, s.store, now)
	return SignInLink{callerOf(ctx).Base + "/signin?token=" + token, now.Add(linkLifetime).UTC()}, err
}
