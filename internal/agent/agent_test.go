package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"reeve/internal/collect"
	"reeve/internal/fleet"
	"reeve/internal/gather"
	"reeve/internal/ops"
	"reeve/internal/secret"
	"reeve/internal/store"
	"reeve/test/storetest"
)

var quiet = slog.New(slog.DiscardHandler)

// A testServer is a real one as far as agents speak with it, which can be stopped
// and started on its address.
type testServer struct {
	t     *testing.T
	store *store.Store
	keys  string
	addr  string
	fleet *fleet.Fleet
	door  net.Listener
	group sync.WaitGroup

	mu    sync.Mutex
	taken []ops.Report
	came  chan struct{} // after each report
}

func startServer(t *testing.T) *testServer {
	t.Helper()
	s := &testServer{t: t, store: storetest.SQLite(t), keys: t.TempDir(), addr: "127.0.0.1:0", came: make(chan struct{}, 1000)}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *testServer) start() {
	s.t.Helper()
	s.open()
	var err error
	if s.door, err = net.Listen("tcp", s.addr); err != nil {
		s.t.Fatal(err)
	}
	s.addr = s.door.Addr().String()
	door, link := s.door, s.fleet.Link()
	s.group.Go(func() {
		for {
			conn, err := door.Accept()
			if err != nil {
				return
			}
			s.group.Go(func() { link.Serve(conn, conn.RemoteAddr().String()) })
		}
	})
}

// open makes the server without a way in.
func (s *testServer) open(change ...func(*fleet.Options)) {
	s.t.Helper()
	keeper := secret.New(s.keys)
	o := fleet.Options{
		Log: quiet, Store: s.store, Accept: s.accept, Seal: keeper.Seal, Open: keeper.Open, Settings: func(ops.Host) []byte { return nil },
		Proven: func(context.Context) bool { return false }, Moved: func() {},
		Begun: func(context.Context, string) error { return nil }, Addresses: func(context.Context) []string { return nil }, Server: "srv_1", Version: "v1.0.0",
	}
	for _, c := range change {
		c(&o)
	}
	var err error
	if s.fleet, err = fleet.New(context.Background(), o); err != nil {
		s.t.Fatal(err)
	}
}

func (s *testServer) stop() {
	s.door.Close()
	if err := s.fleet.Close(context.Background()); err != nil {
		s.t.Error(err)
	}
	s.group.Wait()
}

func (s *testServer) accept(_ context.Context, r ops.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, r)
	s.came <- struct{}{}
	return nil
}

func (s *testServer) reports() []ops.Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.taken)
}

// line answers what `reeve host add` prints for a name.
func (s *testServer) line(name string) Joining {
	s.t.Helper()
	token, _, err := s.fleet.Add(context.Background(), fleet.Invite{Name: name}, store.Why{Actor: "user:ada"})
	if err != nil {
		s.t.Fatal(err)
	}
	return Joining{Address: "reeve://" + s.addr, Token: token, Authority: s.fleet.Fingerprint()}
}

// recorded answers the options of an agent on a small recorded machine.
func recorded(t *testing.T) Options {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"proc/loadavg": "0.1 0.2 0.3 1/100 42\n", "proc/sys/kernel/random/boot_id": "boot-1\n", "etc/hostname": "web1\n"} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return Options{Data: filepath.Join(t.TempDir(), "agent"), Version: "v1.0.0",
		Roots: gather.Roots{Root: dir, Proc: filepath.Join(dir, "proc"), Sys: filepath.Join(dir, "sys")}}
}

// joined answers an agent that joined a server.
func (s *testServer) joined(name string) (*Agent, Options) {
	s.t.Helper()
	o := recorded(s.t)
	if got, err := Join(s.t.Context(), o, s.line(name)); err != nil || got != name {
		s.t.Fatalf("%q, %v", got, err)
	}
	return open(s.t, o), o
}

func open(t *testing.T, o Options) *Agent {
	t.Helper()
	a, err := New(quiet, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

// connectedUntil keeps an agent connected until what it answers is called.
func connectedUntil(a *Agent) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { a.keepConnected(ctx) })
	return func() { cancel(); wg.Wait() }
}

func TestAnAgentThatDidNotJoinSaysHowTo(t *testing.T) {
	_, err := New(quiet, recorded(t))
	if ops.KindOf(err) != ops.Conflict || !strings.Contains(err.Error(), "`reeve host add NAME` prints the line to paste here") {
		t.Errorf("%v", err)
	}
}

func TestJoiningKeepsSecretsToItselfAndForgettingDropsAll(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	key := a.id.Key
	if _, err := New(quiet, o); ops.KindOf(err) != ops.Conflict {
		t.Errorf("two agents on one folder: %v", err)
	}
	a.Close()
	err := filepath.WalkDir(o.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := Forget(o.Data); err != nil {
		t.Fatal(err)
	}
	if err := Forget(o.Data); err != nil {
		t.Errorf("a second time: %v", err)
	}
	if _, err := New(quiet, o); ops.KindOf(err) != ops.Conflict {
		t.Errorf("after it forgot: %v", err)
	}
	if name, err := Join(t.Context(), o, s.line("web2")); err != nil || name != "web2" {
		t.Fatalf("%q, %v", name, err)
	}
	if again := open(t, o); again.id.Key == key {
		t.Error("a copy kept the identity")
	}
}

func TestARemovedHostJoinsAgainAsANewOne(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	key := a.id.Key
	a.Close()
	if _, err := s.fleet.Remove(t.Context(), "web1", store.Why{Actor: "user:ada"}); err != nil {
		t.Fatal(err)
	}
	if _, err := Join(t.Context(), o, s.line("web1")); err != nil {
		t.Fatal(err)
	}
	if again := open(t, o); again.id.Key == key {
		t.Error("it has the identity of a tombstone")
	}
}

func TestDamagedStateIsAClearError(t *testing.T) {
	s := startServer(t)
	a, o := s.joined("web1")
	a.Close()
	for _, name := range []string{serverFile, certFile, keyFile, trustFile, "host_key", sequenceFile} {
		path := filepath.Join(o.Data, name)
		whole, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) && name == sequenceFile {
			whole, err = nil, nil
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range []string{"damaged", ""} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			got, err := New(quiet, o)
			if err == nil {
				got.Close()
			}
			if ops.KindOf(err) != ops.Invalid || !strings.Contains(err.Error(), o.Data) {
				t.Errorf("%s with %q: %v", name, text, err)
			}
		}
		if whole == nil {
			err = os.Remove(path)
		} else {
			err = os.WriteFile(path, whole, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	open(t, o)
}

func TestMarksAreOfTheMachineAndNotOfItsDisk(t *testing.T) {
	sys := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(sys, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("class/dmi/id/product_uuid", "4C4C4544-0043\n")
	write("class/dmi/id/board_serial", "To be filled by O.E.M.\n")
	write("class/net/eth0/address", "AA:bb:cc:dd:ee:ff\n")
	write("class/net/eth0/device/vendor", "0x8086\n")
	write("class/net/eth1/address", "00:00:00:00:00:00\n")
	write("class/net/eth1/device/vendor", "0x8086\n")
	write("class/net/docker0/address", "02:42:00:00:00:01\n") // no hardware
	marks := machine(collect.Env{Sys: sys})
	if len(marks) != 2 || !strings.HasPrefix(marks[0], "mac:") || !strings.HasPrefix(marks[1], "product_uuid:") {
		t.Fatalf("%v", marks)
	}
	if all := strings.ToLower(fmt.Sprint(marks)); strings.Contains(all, "aa:bb") || strings.Contains(all, "4c4c4544") {
		t.Errorf("they tell the hardware: %v", marks)
	}
	write("class/net/eth0/address", "aa:bb:cc:dd:ee:ff") // the same card
	if again := machine(collect.Env{Sys: sys}); !slices.Equal(again, marks) {
		t.Errorf("%v, then %v", marks, again)
	}
	if none := machine(collect.Env{Sys: t.TempDir()}); len(none) != 0 {
		t.Errorf("of nothing: %v", none)
	}
}

func TestWaitsBetweenTriesAreBoundedAndDrawn(t *testing.T) {
	down, no := ops.Errorf(ops.Unavailable, "down"), ops.Errorf(ops.Forbidden, "no")
	seen := map[time.Duration]bool{}
	for range 200 {
		var w Waits
		for i := range 20 {
			wait := w.After(down, time.Second, 0)
			if wait < least || wait > most+most/2 || i > 6 && wait < most/2 {
				t.Fatalf("try %d: %v", i, wait)
			}
			seen[wait] = true
		}
		if wait := w.After(nil, time.Second, 0); wait > spread || w.fails != 0 {
			t.Fatalf("after a connection: %v", wait)
		}
		if wait := w.After(down, time.Second, 2); wait > least {
			t.Fatalf("while another server may answer: %v", wait)
		}
		if wait := w.After(down, time.Hour, 0); wait > spread || w.fails != 0 {
			t.Fatalf("after a long one that broke: %v", wait)
		}
		if wait := w.After(no, time.Second, 0); wait < refused/2 || wait > refused {
			t.Fatalf("refused: %v", wait)
		}
	}
	if len(seen) < 1000 {
		t.Errorf("%d different waits: a thousand agents come back together", len(seen))
	}
}

func TestLargeMessagesHaveTheirTimeUnderACap(t *testing.T) {
	var c connection
	if got := c.timeFor(1 << 20); got != callTimeout {
		t.Errorf("without a cap: %v", got)
	}
	c.bytesPerS.Store(1 << 10)
	if got := c.timeFor(1 << 20); got < 1024*time.Second {
		t.Errorf("1 MiB at 1 KiB/s: %v", got)
	}
}
