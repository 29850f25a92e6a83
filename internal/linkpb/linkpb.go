// Package linkpb is the protocol between an agent and its server, as protoc
// generates it from link.proto: `make proto` writes it anew.
package linkpb
