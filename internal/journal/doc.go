// Package journal is what an agent must not lose, on the disk of its host, in
// a folder given to it. It has three parts that know nothing of each other:
//
//   - Spool keeps reports in order while the server is away. It is bounded:
//     when it is full the oldest reports lose their samples, and then the
//     states that later ones tell anew; never their events, nor the last
//     that is known of anything.
//   - Counter numbers reports. It never answers a number twice, whatever
//     becomes of the process, the machine or its clock.
//   - Receipts remembers which actions were begun and what they came to, so
//     that none is run twice, and which tickets were used.
//
// What a method answered nil for is on the disk: neither a killed process nor
// a power cut takes it back. The one exception is Spool.Done, after which a
// report may at worst be sent again.
//
// A folder belongs to one process at a time; the caller sees to that.
package journal
