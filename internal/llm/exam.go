package llm

import (
	"time"

	"reeve/internal/ops"
)

// An Exam is how a model did on this machine.
type Exam struct {
	Model    string     `json:"model" doc:"provider:model."`
	At       time.Time  `json:"at"`
	Identity string     `json:"identity" doc:"What answered: the digest of a local model, else the model as the provider names it."`
	Grade    Grade      `json:"grade" enum:"none,explain,patrol,investigate"`
	Tokens   ops.Tokens `json:"tokens"`
}
