package probe

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"reeve/internal/collect"
	"reeve/internal/redact"
)

var recordTypes = map[string]dnsmessage.Type{
	"A": dnsmessage.TypeA, "AAAA": dnsmessage.TypeAAAA, "CNAME": dnsmessage.TypeCNAME,
	"MX": dnsmessage.TypeMX, "NS": dnsmessage.TypeNS, "TXT": dnsmessage.TypeTXT, "PTR": dnsmessage.TypePTR,
}

// An expectation is one answer that must be there.
type expectation struct {
	of   dnsmessage.Type
	text string
}

// expectations reads what a check expects: an address, or a type and a value
// ("MX mail.example.org"); a bare name is a CNAME. Without any, the name must
// have an address.
func expectations(c collect.Check) []expectation {
	var all []expectation
	for _, e := range c.Expect {
		kind, text, _ := strings.Cut(strings.TrimSpace(e), " ")
		if of, ok := recordTypes[strings.ToUpper(strings.TrimSuffix(kind, ":"))]; ok && text != "" {
			all = append(all, expectation{of, strings.TrimSpace(text)})
			continue
		}
		of := dnsmessage.TypeCNAME
		if a, err := netip.ParseAddr(strings.TrimSpace(e)); err == nil {
			of = dnsmessage.TypeAAAA
			if a.Is4() {
				of = dnsmessage.TypeA
			}
		}
		all = append(all, expectation{of, strings.TrimSpace(e)})
	}
	return all
}

// runDNS asks a name server and compares the answers.
func runDNS(ctx context.Context, c collect.Check, dial Dial) (Result, error) {
	name, err := dnsmessage.NewName(strings.TrimSuffix(c.Target, ".") + ".")
	if err != nil || c.Target == "" {
		return Result{}, fmt.Errorf("target %q is not a name", redact.Line(c.Target, 100))
	}
	servers, err := servers(c.Server)
	if err != nil {
		return Result{}, err
	}
	want := expectations(c)
	asked := map[dnsmessage.Type][]string{}
	for _, w := range want {
		asked[w.of] = nil
	}
	if len(want) == 0 {
		asked[dnsmessage.TypeA], asked[dnsmessage.TypeAAAA] = nil, nil
	}
	found := 0
	for of := range asked {
		if asked[of], err = ask(ctx, dial, servers, name, of); err != nil {
			return Result{}, err
		}
		found += len(asked[of])
	}
	if found == 0 && len(want) == 0 {
		return Result{}, errors.New("the name has no address")
	}
	for _, w := range want {
		if !slices.ContainsFunc(asked[w.of], func(got string) bool { return sameAnswer(w.text, got) }) {
			return Result{}, fmt.Errorf("%q is not among the answers: %s", redact.Line(w.text, 80), redact.Line(strings.Join(asked[w.of], ", "), 100))
		}
	}
	return Result{Up: true}, nil
}

func sameAnswer(want, got string) bool {
	if a, err := netip.ParseAddr(want); err == nil {
		want = a.String()
	}
	return strings.EqualFold(strings.TrimSuffix(want, "."), strings.TrimSuffix(got, "."))
}

// servers answers the name servers to ask: the one that the check names, or
// the system's.
func servers(named string) ([]string, error) {
	if named != "" {
		if _, _, err := net.SplitHostPort(named); err != nil {
			named = net.JoinHostPort(strings.Trim(named, "[]"), "53")
		}
		return []string{named}, nil
	}
	f, err := os.Open("/etc/resolv.conf")
	if err != nil {
		return nil, errors.New("the system names no name server")
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 64<<10))
	var all []string
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "nameserver" {
			all = append(all, net.JoinHostPort(f[1], "53"))
		}
	}
	if len(all) == 0 {
		return nil, errors.New("the system names no name server")
	}
	return all, nil
}

// ask asks the servers in turn until one answers.
func ask(ctx context.Context, dial Dial, servers []string, name dnsmessage.Name, of dnsmessage.Type) (answers []string, err error) {
	for i, server := range servers {
		answers, err = askOne(ctx, dial, server, name, of)
		if err == nil || i == len(servers)-1 || ctx.Err() != nil {
			return answers, err
		}
	}
	return answers, err
}

// askOne asks over UDP, twice because a datagram may be lost, and over TCP
// when the answer does not fit.
func askOne(ctx context.Context, dial Dial, server string, name dnsmessage.Name, of dnsmessage.Type) ([]string, error) {
	id := uint16(rand.Uint32())
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	if err := errors.Join(b.StartQuestions(), b.Question(dnsmessage.Question{Name: name, Type: of, Class: dnsmessage.ClassINET})); err != nil {
		return nil, err
	}
	query, err := b.Finish()
	if err != nil {
		return nil, err
	}
	var answer []byte
	for range 2 {
		if answer, err = exchange(ctx, dial, "udp", server, query); err == nil || ctx.Err() != nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	answers, cut, err := parseAnswer(answer, id, name, of)
	if err != nil || !cut {
		return answers, err
	}
	if answer, err = exchange(ctx, dial, "tcp", server, query); err != nil {
		return nil, err
	}
	answers, _, err = parseAnswer(answer, id, name, of)
	return answers, err
}

func exchange(ctx context.Context, dial Dial, network, server string, query []byte) ([]byte, error) {
	conn, err := dial(ctx, network, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if end, ok := ctx.Deadline(); ok {
		if network == "udp" {
			end = time.Now().Add(time.Until(end) / 2)
		}
		conn.SetDeadline(end)
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if network == "tcp" {
		query = append(binary.BigEndian.AppendUint16(nil, uint16(len(query))), query...)
	}
	if _, err := conn.Write(query); err != nil {
		return nil, err
	}
	buf := make([]byte, 1<<16)
	if network == "udp" {
		n, err := conn.Read(buf)
		return buf[:n], err
	}
	if _, err := io.ReadFull(conn, buf[:2]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint16(buf))
	_, err = io.ReadFull(conn, buf[:n])
	return buf[:n], err
}

// parseAnswer reads an answer to a question; cut says that it did not fit.
func parseAnswer(b []byte, id uint16, name dnsmessage.Name, of dnsmessage.Type) (answers []string, cut bool, err error) {
	var p dnsmessage.Parser
	head, err := p.Start(b)
	if err != nil || !head.Response || head.ID != id {
		return nil, false, errors.New("the name server's answer is not one to the question")
	}
	switch head.RCode {
	case dnsmessage.RCodeSuccess:
	case dnsmessage.RCodeNameError:
		return nil, false, errors.New("no such name: " + redact.Line(name.String(), 100))
	default:
		return nil, false, errors.New("the name server answers " + strings.TrimPrefix(head.RCode.String(), "RCode"))
	}
	if head.Truncated {
		return nil, true, nil
	}
	if err := p.SkipAllQuestions(); err != nil {
		return nil, false, errors.New("the name server's answer cannot be read")
	}
	for len(answers) < 200 {
		r, err := p.Answer()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			break
		}
		if err != nil {
			return nil, false, errors.New("the name server's answer cannot be read")
		}
		if text := answerText(r.Body); r.Header.Type == of && text != "" {
			answers = append(answers, text)
		}
	}
	return answers, false, nil
}

func answerText(body dnsmessage.ResourceBody) string {
	switch r := body.(type) {
	case *dnsmessage.AResource:
		return netip.AddrFrom4(r.A).String()
	case *dnsmessage.AAAAResource:
		return netip.AddrFrom16(r.AAAA).String()
	case *dnsmessage.CNAMEResource:
		return r.CNAME.String()
	case *dnsmessage.MXResource:
		return r.MX.String()
	case *dnsmessage.NSResource:
		return r.NS.String()
	case *dnsmessage.PTRResource:
		return r.PTR.String()
	case *dnsmessage.TXTResource:
		return strings.Join(r.TXT, "")
	}
	return ""
}
