// Package ops holds the words of the domain: what every other package means
// by a resource, an observation, a signal, a finding, an incident, a
// delivery, an error. It decides nothing that needs a clock, a network or a
// database; lifecycles are tables here, and the store keeps to them.
package ops
