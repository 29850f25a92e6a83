// Package notify tells people about incidents. It reads what happened to
// incidents after its durable cursor, decides by policy who is told what and
// when, writes deliveries into the outbox in the transaction that advances
// the cursor, and sends what is in the outbox until it is taken or a day has
// passed. Deciding and composing are pure; what a channel is is said here,
// what channels there are is said in the catalogue of channels.
package notify
