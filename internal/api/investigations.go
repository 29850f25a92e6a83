package api

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"reeve/internal/investigate"
	"reeve/internal/ops"
	"reeve/internal/rest"
	"reeve/internal/store"
)

func (s *Server) inquiryRoutes() []rest.Route {
	return []rest.Route{
		rest.Typed("GET /api/v1/investigations", rest.Read, "Investigations, the newest first, without their details.", s.investigations),
		rest.Typed("GET /api/v1/investigations/{id}", rest.Read, "One investigation: what it looked at, what it thinks and on what grounds.", s.investigation),
		rest.Typed("POST /api/v1/incidents/{id}/investigate", rest.Operate, "Look into an incident; 409 names the investigation that goes on already.", s.investigate),
		rest.Typed("GET /api/v1/runbooks", rest.Read, "What is looked at for each condition without a model.", s.runbooks),

		rest.Typed("GET /api/v1/notes", rest.Read, "What people know of resources and of the estate, and what models suggest, the newest first.", s.notes),
		rest.Typed("GET /api/v1/notes/{id}", rest.Read, "One note.", s.note),
		rest.Typed("POST /api/v1/notes", rest.Operate, "Write a note.", s.addNote),
		rest.Typed("POST /api/v1/notes/{id}/accept", rest.Operate, "Let a suggested note count.", s.acceptNote),
		rest.Typed("POST /api/v1/notes/{id}/decline", rest.Operate, "End a suggested note.", s.declineNote),
		rest.Typed("POST /api/v1/notes/{id}/remove", rest.Operate, "End a note.", s.removeNote),
		rest.Typed("GET /api/v1/dismissals", rest.Read, "Why people said that problems are none or are solved, as their decisions say, the newest first.", s.dismissals),
	}
}

type investigationsInput struct {
	Incident string   `query:"incident" doc:"ID of an incident."`
	State    []string `query:"state" doc:"active (queued or running), or states; several with commas."`
	Limit    int      `query:"limit" doc:"Of a page, at most 1000; default 50."`
	Cursor   string   `query:"cursor"`
}

func (s *Server) investigations(ctx context.Context, q investigationsInput) (rest.List[ops.Investigation], error) {
	f := store.InvestigationFilter{Incident: q.Incident, Limit: q.Limit}
	var err error
	if f.After, err = parseCursor("", q.Cursor); err != nil {
		return rest.List[ops.Investigation]{}, err
	}
	if err := amongAll("state", "state of investigations", q.State, append([]ops.InvestigationState{active}, ops.InvestigationFlow.States()...)); err != nil {
		return rest.List[ops.Investigation]{}, err
	}
	for _, state := range q.State {
		if state == active {
			f.States = append(f.States, string(ops.InvestigationQueued), string(ops.InvestigationRunning))
			continue
		}
		f.States = append(f.States, state)
	}
	items, next, err := s.store.Investigations(ctx, f)
	return rest.ListOf(items, cursorOf("", next)), err
}

func (s *Server) investigation(ctx context.Context, q rest.ByID) (ops.Investigation, error) {
	return s.store.Investigation(ctx, q.ID)
}

// InvestigationAccepted names what was accepted: 202.
type InvestigationAccepted struct {
	InvestigationID string `json:"investigation_id"`
}

// HTTPStatus says that the work goes on.
func (InvestigationAccepted) HTTPStatus() int { return http.StatusAccepted }

func (s *Server) investigate(ctx context.Context, q reasonInput) (InvestigationAccepted, error) {
	if err := checkReason(q.Body.Reason); err != nil {
		return InvestigationAccepted{}, err
	}
	i, err := s.store.Incident(ctx, q.ID)
	if err != nil {
		return InvestigationAccepted{}, err
	}
	if err := rest.CheckMatch(q.IfMatch, "the incident", i.Version); err != nil {
		return InvestigationAccepted{}, err
	}
	begun, err := s.deps.Investigate.Ask(ctx, q.ID, rest.CallerOf(ctx).Actor(), q.Body.Reason)
	return InvestigationAccepted{begun.ID}, err
}

func (s *Server) runbooks(context.Context, rest.NoInput) (rest.List[investigate.Runbook], error) {
	all, err := investigate.Runbooks()
	books := slices.SortedFunc(maps.Values(all), func(a, b investigate.Runbook) int {
		if a.Condition < b.Condition {
			return -1
		}
		return 1
	})
	return rest.ListOf(books, ""), err
}
