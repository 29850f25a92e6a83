package api

import (
	"context"

	"reeve/internal/ops"
	"reeve/internal/rest"
)

type sealInput struct {
	Name string `path:"name"`
	Body struct {
		Value string `json:"value" doc:"At most 16 KiB; no answer tells it."`
	} `body:""`
}

func (s *Server) seal(ctx context.Context, q sealInput) (ops.SealedSetting, error) {
	return s.deps.Seal(ctx, q.Name, q.Body.Value, rest.CallerOf(ctx).Why(""))
}

func (s *Server) secrets(ctx context.Context, _ rest.NoInput) (rest.List[ops.SealedSetting], error) {
	all, err := s.store.SealedSettings(ctx)
	return rest.ListOf(all, ""), err
}

type secretName struct {
	Name string `path:"name"`
}

func (s *Server) deleteSecret(ctx context.Context, q secretName) (rest.None, error) {
	return rest.None{}, s.deps.DeleteSecret(ctx, q.Name, rest.CallerOf(ctx).Why(""))
}
