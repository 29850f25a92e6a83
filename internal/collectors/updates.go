package collectors

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"reeve/internal/collect"
	"reeve/internal/ops"
	"reeve/internal/redact"
)

var _ = all.Add(collect.Definition{
	Name: "updates",
	Doc: "Pending package updates (apt, dnf, apk), asked for every 6 h of what the package manager already knows, " +
		"and whether a reboot is required.",
	Every:       5 * time.Minute,
	Timeout:     2 * time.Minute,
	Cost:        collect.Dear,
	Permissions: "none",
	Metrics: []collect.Metric{
		{Name: "updates_pending_count", Unit: "count", Doc: "Packages for which a newer version is known."},
		{Name: "updates_security_count", Unit: "count", Doc: "Those of them that fix a security problem."},
	},
	Open: func(env collect.Env) collect.Collector { return &updates{env: env} },
})

// updatesEvery is how often the package manager is asked: it is dear, and its
// lists change once or twice a day.
const updatesEvery = 6 * time.Hour

// updatesRetry is how long to wait after the package manager failed.
const updatesRetry = time.Hour

type updates struct {
	env   collect.Env
	next  time.Time
	count updateCount
	known bool
	fault error
}

// An updateCount is how many updates are pending. Security is -1 where the
// package manager does not say.
type updateCount struct{ Pending, Security int }

func (u *updates) Collect(ctx context.Context, out *collect.Batch) error {
	attrs := rebootNeed(u.env)
	ask := updateSource(u.env)
	if ask != nil && !out.Now.Before(u.next) {
		u.ask(ctx, out.Now, ask)
	}
	if u.known {
		attrs["updates_pending"] = strconv.Itoa(u.count.Pending)
		out.Add(out.HostRef(), "updates_pending_count", float64(u.count.Pending))
	}
	if u.known && u.count.Security >= 0 {
		attrs["updates_security"] = strconv.Itoa(u.count.Security)
		out.Add(out.HostRef(), "updates_security_count", float64(u.count.Security))
	}
	out.SeeHost(attrs)
	return u.fault
}

// ask renews the count; a failure keeps the last one and is reported until
// the next try.
func (u *updates) ask(ctx context.Context, now time.Time, source updateAsker) {
	count, err := source(ctx, u.env)
	if u.fault = err; err != nil {
		u.next = now.Add(updatesRetry)
		return
	}
	u.count, u.known, u.next = count, true, now.Add(updatesEvery)
}

type updateAsker func(context.Context, collect.Env) (updateCount, error)

// updateSource answers how to ask the package manager of this host, nil when
// it has none that is known.
func updateSource(env collect.Env) updateAsker {
	for _, s := range []struct {
		tool string
		ask  updateAsker
	}{{"apt-get", askApt}, {"dnf", askDnf}, {"apk", askApk}} {
		if _, ok := env.Tools(s.tool); ok {
			return s.ask
		}
	}
	return nil
}

// askApt simulates an upgrade. New packages that an upgrade brings in are
// allowed, because a new kernel is one.
func askApt(ctx context.Context, env collect.Env) (updateCount, error) {
	b, err := askTool(ctx, env, 0, "apt-get", "-s", "-o", "Debug::NoLocking=true", "--with-new-pkgs", "upgrade")
	return parseAptUpgrade(b), err
}

// dnfUpdates is the exit status of dnf check-update when there are some.
const dnfUpdates = 100

func askDnf(ctx context.Context, env collect.Env) (updateCount, error) {
	b, err := askTool(ctx, env, dnfUpdates, "dnf", "-q", "-C", "check-update")
	if err != nil {
		return updateCount{}, err
	}
	advice, err := askTool(ctx, env, 0, "dnf", "-q", "-C", "updateinfo", "list", "--security")
	if err != nil {
		return updateCount{parseDnfUpdates(b), -1}, nil
	}
	return updateCount{parseDnfUpdates(b), parseDnfAdvisories(advice)}, nil
}

func askApk(ctx context.Context, env collect.Env) (updateCount, error) {
	b, err := askTool(ctx, env, 0, "apk", "version", "-l", "<")
	return updateCount{parseApkVersions(b), -1}, err
}

// askTool runs a package manager; also is an exit status that is no failure,
// besides 0.
func askTool(ctx context.Context, env collect.Env, also int, tool string, args ...string) ([]byte, error) {
	answer, err := env.Run(ctx, tool, args...)
	if err == nil && answer.Exit != 0 && answer.Exit != also {
		err = fmt.Errorf("exit status %d: %s", answer.Exit, redact.Line(string(answer.Stderr), 300))
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for updates: %w", tool, err)
	}
	return answer.Stdout, nil
}

// aptUpgrade is the line of a package that would be upgraded: the version
// there is in brackets, the new one and where it is from in parentheses.
var aptUpgrade = regexp.MustCompile(`^Inst [^ ]+ \[[^\]]*\] \(([^)]*)`)

// parseAptUpgrade reads apt-get -s upgrade.
func parseAptUpgrade(b []byte) updateCount {
	var n updateCount
	for line := range bytes.Lines(b) {
		if m := aptUpgrade.FindSubmatch(line); m != nil {
			n.Pending++
			if bytes.Contains(bytes.ToLower(m[1]), []byte("security")) {
				n.Security++
			}
		}
	}
	return n
}

// parseDnfUpdates counts the packages of dnf check-update: lines of name,
// version and repository up to those that would be replaced.
func parseDnfUpdates(b []byte) int {
	n := 0
	for line := range bytes.Lines(b) {
		if bytes.HasPrefix(line, []byte("Obsoleting")) {
			break
		}
		f := bytes.Fields(line)
		if len(f) == 3 && bytes.IndexByte(f[0], '.') > 0 && line[0] != ' ' {
			n++
		}
	}
	return n
}

// parseDnfAdvisories counts the packages that security advisories name, each
// once. dnf 4 writes "Important/Sec.", dnf 5 "security Important".
func parseDnfAdvisories(b []byte) int {
	packages := map[string]bool{}
	for line := range bytes.Lines(b) {
		f := strings.Fields(string(line))
		switch {
		case len(f) == 3 && strings.HasSuffix(f[1], "/Sec."):
			packages[f[2]] = true
		case len(f) >= 4 && f[1] == "security":
			packages[f[3]] = true
		}
	}
	return len(packages)
}

// parseApkVersions counts the lines of apk version, such as
// "musl-1.2.4-r1  < 1.2.4-r2".
func parseApkVersions(b []byte) int {
	n := 0
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) == 3 && string(f[1]) == "<" {
			n++
		}
	}
	return n
}

// rebootNeed says whether the host wants a reboot and why: a package asked
// for it, or a newer kernel than the one that runs is installed.
func rebootNeed(env collect.Env) ops.Attrs {
	var why []string
	for _, dir := range []string{"run", "var/run"} {
		if _, err := os.Stat(env.RootPath(dir, "reboot-required")); err == nil {
			why = append(why, rebootPackages(env.RootPath(dir, "reboot-required.pkgs")))
			break
		}
	}
	if running, ok := readWord(env.ProcPath("sys", "kernel", "osrelease")); ok {
		if newest := newestKernel(running, bootKernels(env)); newest != running {
			why = append(why, fmt.Sprintf("kernel %s is installed, %s is running", newest, redact.Line(running, 80)))
		}
	}
	return ops.Attrs{"reboot_required": truth(len(why) > 0), "reboot_reason": strings.Join(why, "; ")}
}

// rebootPackages names the packages that asked for a reboot.
func rebootPackages(path string) string {
	b, _ := readSmall(path)
	names := strings.Fields(redact.Line(string(b), 300))
	slices.Sort(names)
	if names = slices.Compact(names); len(names) == 0 {
		return "a package asks for it"
	}
	return "asked for by " + strings.Join(names, ", ")
}

var kernelRelease = regexp.MustCompile(`^[0-9]+\.[0-9A-Za-z._+~-]{1,80}$`)

// bootKernels answers the releases of the kernels in /boot.
func bootKernels(env collect.Env) []string {
	entries, _ := os.ReadDir(env.RootPath("boot"))
	var releases []string
	for _, e := range entries {
		if r, ok := strings.CutPrefix(e.Name(), "vmlinuz-"); ok && kernelRelease.MatchString(r) {
			releases = append(releases, r)
		}
	}
	return releases
}

// newestKernel answers the newest release of the running one's flavour. When
// the running kernel itself is not installed, it was booted from elsewhere
// and what is in /boot says nothing about it.
func newestKernel(running string, installed []string) string {
	if !slices.Contains(installed, running) {
		return running
	}
	newest := running
	for _, r := range installed {
		if kernelFlavour(r) == kernelFlavour(running) && compareReleases(r, newest) > 0 {
			newest = r
		}
	}
	return newest
}

var (
	releaseSegment = regexp.MustCompile(`[-.][A-Za-z][^-.]*`)
	distribution   = regexp.MustCompile(`^[-.](el|fc|amzn|oe|rc|bpo)[0-9]`)
)

// kernelFlavour answers what follows the numbers and the distribution in a
// release: cloud-amd64 of 6.1.0-30-cloud-amd64, x86_64 of
// 5.14.0-427.el9_4.x86_64.
func kernelFlavour(release string) string {
	for _, at := range releaseSegment.FindAllStringIndex(release, -1) {
		if !distribution.MatchString(release[at[0]:at[1]]) {
			return release[at[0]+1:]
		}
	}
	return ""
}

// compareReleases orders releases by their numbers as numbers and the text
// between as text.
func compareReleases(a, b string) int {
	for a != "" && b != "" {
		var x, y string
		x, a = releasePart(a)
		y, b = releasePart(b)
		if updateDigit(x[0]) && updateDigit(y[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			if len(x) != len(y) {
				return len(x) - len(y)
			}
		}
		if c := strings.Compare(x, y); c != 0 {
			return c
		}
	}
	return len(a) - len(b)
}

// releasePart cuts the first run of digits or of other characters off.
func releasePart(s string) (part, rest string) {
	n := 1
	for n < len(s) && updateDigit(s[n]) == updateDigit(s[0]) {
		n++
	}
	return s[:n], s[n:]
}

func updateDigit(c byte) bool { return c >= '0' && c <= '9' }
