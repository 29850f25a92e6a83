package fleet_test

import (
	"context"
	"testing"
	"testing/synctest"

	"reeve/internal/fleet"
	"reeve/internal/link"
	"reeve/test/storetest"
)

// slowly runs a test in fake time with a server that holds each hello up, after
// it looked at the host, until it is let go: held answers how to let it go.
func slowly(t *testing.T, f func(t *testing.T, s *server, held <-chan func())) {
	emptyPools()
	defer emptyPools()
	synctest.Test(t, func(t *testing.T) {
		held := make(chan func(), 8)
		s := serve(t, storetest.SQLite(t), t.TempDir(), func(o *fleet.Options) {
			o.Begun = func(context.Context, string) error {
				on := make(chan struct{})
				held <- func() { close(on); synctest.Wait() }
				<-on
				return nil
			}
		}).onPipes()
		defer s.close()
		f(t, s, held)
	})
}

// greeting opens a connection and says hello; the answer comes on a channel.
func (a *agent) greeting(s *server) (*link.Conn, <-chan error) {
	a.t.Helper()
	conn, err := a.dial(s)
	if err != nil {
		a.t.Fatal(err)
	}
	said := make(chan error, 1)
	go func() { // ends with the connection
		_, err := conn.Up.Hello(context.Background(), a.hello())
		said <- link.FromWire(err)
	}()
	return conn, said
}

func TestAHostThatIsRevokedWhileItSaysHelloDoesNotSpeak(t *testing.T) {
	slowly(t, func(t *testing.T, s *server, held <-chan func()) {
		a := s.joined("web1", "b1")
		conn, said := a.greeting(s)
		letGo := <-held
		if _, err := s.fleet.Revoke(t.Context(), "web1", admin); err != nil {
			t.Fatal(err)
		}
		letGo()
		if err := <-said; err == nil {
			t.Error("it was greeted")
		}
		if _, err := send(conn, a.report(1)); err == nil || len(s.reports()) != 0 || s.fleet.Connected() != 0 {
			t.Errorf("its report: %v; %d taken, %d connected", err, len(s.reports()), s.fleet.Connected())
		}
	})
}

func TestAConnectionThatEndsWhileItsAgentSaysHelloDoesNotCount(t *testing.T) {
	slowly(t, func(t *testing.T, s *server, held <-chan func()) {
		conn, said := s.joined("web1", "b1").greeting(s)
		letGo := <-held
		conn.Close()
		<-said
		synctest.Wait() // the server sees it end
		letGo()
		if n := s.fleet.Connected(); n != 0 {
			t.Errorf("%d are connected", n)
		}
	})
}

// TestASlowHelloEndsNoNewerConnection: the agent gave up and is back, and the
// server may not have seen the end of the connection before.
func TestASlowHelloEndsNoNewerConnection(t *testing.T) {
	for name, gone := range map[string]bool{"which ended": true, "which nobody saw end": false} {
		t.Run(name, func(t *testing.T) {
			slowly(t, func(t *testing.T, s *server, held <-chan func()) {
				a := s.joined("web1", "b1")
				first, _ := a.greeting(s)
				letFirstGo := <-held
				if gone {
					first.Close()
					synctest.Wait()
				}
				second, said := a.greeting(s)
				(<-held)()
				if err := <-said; err != nil {
					t.Fatal(err)
				}
				letFirstGo()
				if duplicate, err := send(second, a.report(1)); err != nil || duplicate {
					t.Errorf("duplicate %v, %v", duplicate, err)
				}
				first.Close()
				synctest.Wait()
				if n := s.fleet.Connected(); n != 1 {
					t.Errorf("%d are connected", n)
				}
				second.Close()
			})
		})
	}
}
