package signin

import (
	"context"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"reeve/internal/ops"
)

// claims answers what the provider says of a person. The token that signs in
// need not hold more than who it is: what the scopes ask for may have to be
// fetched (OpenID Connect Core, 5.4). The token's own word counts first.
func (o *oidcClient) claims(ctx context.Context, p *oidc.Provider, token *oauth2.Token, id *oidc.IDToken) (map[string]any, error) {
	var claims map[string]any
	if err := id.Claims(&claims); err != nil {
		return nil, ops.Because(ops.Forbidden, err, "the OpenID provider's answer cannot be read")
	}
	_, hasRole := claims[o.opts.RoleClaim]
	_, hasName := claims["preferred_username"]
	if hasRole && hasName || p.UserInfoEndpoint() == "" || token.AccessToken == "" {
		return claims, nil
	}
	info, err := p.UserInfo(o.reach(ctx), oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, ops.Because(ops.Forbidden, err, "the OpenID provider does not say who signs in")
	}
	if info.Subject != id.Subject {
		return nil, ops.Errorf(ops.Forbidden, "the OpenID provider speaks of two people in one sign-in")
	}
	var more map[string]any
	if err := info.Claims(&more); err != nil {
		return nil, ops.Because(ops.Forbidden, err, "the OpenID provider's answer cannot be read")
	}
	for name, v := range more {
		if _, ok := claims[name]; !ok {
			claims[name] = v
		}
	}
	return claims, nil
}
