//go:build !readonly

package command

// ReadOnly says that this build cannot change anything on a host.
const ReadOnly = false
