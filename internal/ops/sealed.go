package ops

import "time"

// A SealedSetting is a setting that only the server can open. Neither the
// database nor the audit nor an answer holds its value.
type SealedSetting struct {
	Name   string    `json:"name"`
	At     time.Time `json:"at" doc:"When it was sealed."`
	By     string    `json:"by" doc:"Who sealed it."`
	Note   string    `json:"note,omitempty" doc:"How it is used, and from when on; after it was sealed."`
	Sealed string    `json:"-"`
}
