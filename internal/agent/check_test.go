package agent

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"reeve/internal/ops"
)

func TestACheckTriesTheServersThatTheAgentTries(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	a.Close()
	j, err := readJoined(o.Data)
	if err != nil {
		t.Fatal(err)
	}
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	j.server = server{Address: "reeve://" + gone.Addr().String(), Others: []string{"reeve://" + s.addr}, Name: "web1"}
	if err := reach(t.Context(), j); err != nil {
		t.Errorf("another server is there: %v", err)
	}
	j.server.Others = nil
	if err := reach(t.Context(), j); err == nil {
		t.Error("nobody is there")
	}
}

func TestAnAgentThatRunsIsNotForgotten(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	if err := Forget(o.Data); ops.KindOf(err) != ops.Conflict || !strings.Contains(err.Error(), "stop it first: `systemctl stop reeve-agent`") {
		t.Errorf("%v", err)
	}
	if _, err := readJoined(o.Data); err != nil {
		t.Errorf("it lost what it runs on: %v", err)
	}
	a.Close()
	if err := Forget(o.Data); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(o.Data, keyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its key is there: %v", err)
	}
}
