package probe

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"reeve/internal/collect"
)

// nameServer answers on UDP and TCP of one port of 127.0.0.1.
func nameServer(t *testing.T, answer func(q dnsmessage.Question, tcp bool) (dnsmessage.Message, bool)) string {
	t.Helper()
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := net.Listen("tcp", udp.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { udp.Close(); tcp.Close() })
	reply := func(b []byte, overTCP bool) []byte {
		var m dnsmessage.Message
		if m.Unpack(b) != nil || len(m.Questions) != 1 {
			return nil
		}
		r, ok := answer(m.Questions[0], overTCP)
		if !ok {
			return nil
		}
		r.ID, r.Response, r.Questions = m.ID, true, m.Questions
		out, err := r.Pack()
		if err != nil {
			t.Error(err)
		}
		return out
	}
	go func() {
		buf := make([]byte, 1500)
		for {
			n, from, err := udp.ReadFrom(buf)
			if err != nil {
				return
			}
			if out := reply(buf[:n], false); out != nil {
				udp.WriteTo(out, from)
			}
		}
	}()
	go func() {
		for {
			conn, err := tcp.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1500)
			if _, err := io.ReadFull(conn, b[:2]); err == nil {
				n := binary.BigEndian.Uint16(b)
				io.ReadFull(conn, b[:n])
				out := reply(b[:n], true)
				conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(out))), out...))
			}
			conn.Close()
		}
	}()
	return udp.LocalAddr().String()
}

func record(name string, body dnsmessage.ResourceBody) dnsmessage.Resource {
	h := dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName(name), Class: dnsmessage.ClassINET, TTL: 60}
	return dnsmessage.Resource{Header: h, Body: body}
}

func zone(q dnsmessage.Question, tcp bool) (m dnsmessage.Message, ok bool) {
	name := q.Name.String()
	add := func(body dnsmessage.ResourceBody) { m.Answers = append(m.Answers, record(name, body)) }
	switch {
	case name == "silent.test.":
		return m, false
	case name == "none.test.":
		m.RCode = dnsmessage.RCodeNameError
	case name == "broken.test.":
		m.RCode = dnsmessage.RCodeServerFailure
	case name == "large.test." && !tcp:
		m.Truncated = true
	case name == "large.test." && q.Type == dnsmessage.TypeA, name == "web.test." && q.Type == dnsmessage.TypeA:
		add(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 1}})
		add(&dnsmessage.AResource{A: [4]byte{192, 0, 2, 2}})
	case name == "web.test." && q.Type == dnsmessage.TypeAAAA:
		add(&dnsmessage.AAAAResource{AAAA: [16]byte{0x20, 1, 0xd, 0xb8, 15: 1}})
	case name == "web.test." && q.Type == dnsmessage.TypeMX:
		add(&dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mail.test.")})
	case name == "web.test." && q.Type == dnsmessage.TypeTXT:
		add(&dnsmessage.TXTResource{TXT: []string{"v=spf1 ", "-all"}})
	case name == "web.test." && q.Type == dnsmessage.TypeCNAME:
		add(&dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("edge.test.")})
	}
	return m, true
}

func TestDNS(t *testing.T) {
	server := nameServer(t, zone)
	dns := func(name string, expect ...string) collect.Check {
		return collect.Check{Type: "dns", Target: name, Server: server, Expect: expect, Timeout: 5 * time.Second}
	}
	expect(t, dns("web.test"), "")
	expect(t, dns("web.test."), "")
	expect(t, dns("web.test", "192.0.2.1", "192.0.2.2", "2001:db8::0001"), "")
	expect(t, dns("web.test", "192.0.2.9"), `"192.0.2.9" is not among the answers: 192.0.2.1, 192.0.2.2`)
	expect(t, dns("web.test", "MX mail.test", "TXT v=spf1 -all", "edge.test"), "")
	expect(t, dns("web.test", "NS ns.test"), "not among the answers")
	expect(t, dns("large.test", "192.0.2.1"), "")
	expect(t, dns("none.test"), "no such name: none.test.")
	expect(t, dns("broken.test"), "answers ServerFailure")
	expect(t, dns("empty.test"), "no address")
	expect(t, dns(""), "not a name")
	silent := dns("silent.test")
	silent.Timeout = 300 * time.Millisecond
	expect(t, silent, "timeout after 300ms")
	dead := dns("web.test")
	dead.Server = closedPort(t)
	expect(t, dead, "connection refused")
}

func FuzzParseAnswer(f *testing.F) {
	name := dnsmessage.MustNewName("web.test.")
	for _, of := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeMX, dnsmessage.TypeTXT} {
		m, _ := zone(dnsmessage.Question{Name: name, Type: of}, true)
		m.ID, m.Response = 7, true
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		answers, _, err := parseAnswer(b, 7, name, dnsmessage.TypeA)
		if err != nil && len(answers) > 0 {
			t.Fatal("answers with an error")
		}
		if len(answers) > 200 {
			t.Fatal("unbounded answers")
		}
	})
}
