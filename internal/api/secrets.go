package api

import (
	"context"

	"reeve/internal/ops"
)

type sealInput struct {
	Name string `path:"name"`
	Body struct {
		Value string `json:"value" doc:"At most 16 KiB; no answer tells it."`
	} `body:""`
}

func (s *Server) seal(ctx context.Context, q sealInput) (ops.SealedSetting, error) {
	return s.deps.Seal(ctx, q.Name, q.Body.Value, callerOf(ctx).why(""))
}

func (s *Server) secrets(ctx context.Context, _ noInput) (List[ops.SealedSetting], error) {
	all, err := s.store.SealedSettings(ctx)
	return listOf(all, ""), err
}

type secretName struct {
	Name string `path:"name"`
}

func (s *Server) deleteSecret(ctx context.Context, q secretName) (none, error) {
	return none{}, s.deps.DeleteSecret(ctx, q.Name, callerOf(ctx).why(""))
}
