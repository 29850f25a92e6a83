package app

import (
	"cmp"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"reeve/internal/api"
	"reeve/internal/collectors"
	"reeve/internal/config"
	"reeve/internal/fleet"
	"reeve/internal/link"
	"reeve/internal/ops"
)

// serverIDFile keeps who this server is among several: a restart must take
// its own leases again.
const serverIDFile = "server_id"

func serverID(dir string) (string, error) {
	path := filepath.Join(dir, serverIDFile)
	text, err := os.ReadFile(path)
	if id := strings.TrimSpace(string(text)); err == nil && ops.IDKind(id) == ops.ServerID {
		return id, nil
	}
	id := ops.NewID(ops.ServerID)
	if err := os.WriteFile(path, []byte(id+"\n"), 0o600); err != nil {
		return "", ops.Because(ops.Unavailable, err, "the data folder %s cannot be written", dir)
	}
	return id, nil
}

func (s *Server) openFleet(ctx context.Context) error {
	settings, err := agentSettings(s.config)
	if err != nil {
		return err
	}
	s.fleet, err = fleet.New(ctx, fleet.Options{
		Log: s.log, Store: s.store, Accept: s.ingest.Accept, Seal: s.keeper.Seal, Open: s.keeper.Open, Server: s.serverID, Alone: !s.duty.shared, Version: s.version,
		Settings: func(ops.Host) []byte { return settings }, Proven: s.networkProven, Moved: func() { s.woken.watch.Wake() }, Begun: s.ingest.Reload, Addresses: s.addresses,
		CertLife: time.Duration(s.config.Fleet.CertificateLife),
	})
	if err != nil {
		return err
	}
	s.push("agents", s.fleet.Close)
	if s.worker == nil {
		return nil
	}
	return s.fleet.Local(ctx, s.host)
}

// agentSettings are what agents collect, as link.Settings.
func agentSettings(c config.Config) ([]byte, error) {
	all, err := settingsOf(c, collectors.All())
	if err != nil {
		return nil, err
	}
	told := link.Settings{Collectors: map[string]link.Collector{}}
	for name, x := range all {
		told.Collectors[name] = link.Collector{EveryMS: x.Every.Milliseconds(), Enabled: x.Enabled, Options: x.Options}
	}
	return json.Marshal(told)
}

// networkProven reports whether one of the things outside that the
// configuration names can be reached.
func (s *Server) networkProven(ctx context.Context) bool {
	for _, addr := range s.config.Fleet.Probe {
		d := net.Dialer{Timeout: 3 * time.Second}
		if conn, err := d.DialContext(ctx, "tcp", addr); err == nil {
			conn.Close()
			return true
		}
	}
	return false
}

// agentAddress answers where agents reach this server.
func (s *Server) agentAddress() (string, error) {
	if a := s.config.Fleet.Address; a != "" {
		return a, nil
	}
	if s.web.secure == nil {
		return "", ops.Errorf(ops.Conflict, "agents of other machines have no way in: start the server with --listen-tls :%s, or set fleet.address to the proxy before it", link.DefaultPort)
	}
	host, port, err := net.SplitHostPort(s.web.secure.Addr().String())
	if err != nil {
		return "", err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = outwardIP()
	}
	return "reeve://" + net.JoinHostPort(host, port), nil
}

// addresses answers where agents reach the servers that live, this one first.
func (s *Server) addresses(ctx context.Context) []string {
	all, err := s.living(ctx)
	if err != nil {
		return nil // an agent keeps what it knows
	}
	var here, others []string
	for _, x := range all {
		switch {
		case x.Address == "":
		case x.ID == s.serverID:
			here = append(here, x.Address)
		default:
			others = append(others, x.Address)
		}
	}
	return append(here, others...)
}

// outwardIP answers the address of this machine that a packet to elsewhere
// would carry. Nothing is sent.
func outwardIP() string {
	conn, err := net.Dial("udp", "192.0.2.1:9")
	if err == nil {
		defer conn.Close()
		if at, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			return at.IP.String()
		}
	}
	name, _ := os.Hostname() // Without one there is only this machine.
	return cmp.Or(name, "localhost")
}

// fleetOfAPI gives people's decisions about hosts to package fleet.
func (s *Server) fleetOfAPI() api.Fleet {
	f := s.fleet
	return api.Fleet{
		Add: f.Add, Withdraw: f.Withdraw, Revoke: f.Revoke, Remove: f.Remove, Maintain: f.Maintain, EndMaintenance: f.EndMaintenance,
		Release: f.Release, AcceptMachine: f.AcceptMachine, Authority: f.Authority, Rotate: f.Rotate, Fingerprint: f.Fingerprint,
		Address: s.agentAddress, Blind: f.Blind, Connected: f.Connected, Link: f.Link(), Servers: s.servers,
	}
}

// monitorSighting reports the mass brake as a part of Reeve.
func (s *Server) monitorSighting(host ops.HostIdentity) ops.Sighting {
	b := s.fleet.Blind()
	x := component(host, "fleet", "monitor", "ok", "", 0)
	x.Observed["blind"] = "false"
	if b.Tripped {
		x.Observed["state"], x.Observed["blind"] = "blind", "true"
		x.Observed["silent"], x.Observed["expected"] = strconv.Itoa(b.Silent), strconv.Itoa(b.Expected)
	}
	return x
}
