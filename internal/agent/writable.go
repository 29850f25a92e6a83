//go:build !readonly

package agent

// readOnly says that this build cannot change anything.
const readOnly = false
