package evidence_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"reeve/internal/evidence"
	"reeve/internal/ops"
)

func aFinding() (ops.Finding, ops.Resource, []evidence.Known) {
	r := ops.Resource{ID: "res_0000000000000000000000a", Kind: ops.KindFilesystem, Name: "/var/lib/docker", HostID: "res_0000000000000000000000b", HostName: "web-1",
		Observed: ops.Attrs{"device": "/dev/sda1", "fs_type": "ext4", "mount_options": "rw,relatime"}}
	f := ops.Finding{ID: "fnd_0000000000000000000000c", ResourceID: r.ID, Condition: "fs_full", Summary: "/var/lib/docker is 97 % full: 3.1 GB of 103 GB left",
		Facts: map[string]string{"used": "97 %", "left": "3.1 GB"}, FirstSeen: now.Add(-3 * time.Hour), OpenedAt: now.Add(-170 * time.Minute), LastSeen: now, Count: 4, Episode: 1}
	v := 0.9731
	claim := ops.Claim{Kind: "metric", ResourceID: r.ID, Metric: "fs_used_ratio", Stat: "max", Minutes: 360, Value: &v}
	return f, r, []evidence.Known{evidence.KnownResource(r), evidence.KnownFinding(f, now), evidence.KnownClaim(claim, ops.Evidence{From: now.Add(-6 * time.Hour), To: now, TakenAt: now}),
		evidence.KnownText("write /var/lib/docker/overlay2: no space left on device (errno 28)")}
}

func TestProseKeepsWhatIsBacked(t *testing.T) {
	_, _, facts := aFinding()
	for _, s := range []string{
		"The file system /var/lib/docker on web-1 is nearly full.",
		"/var/lib/docker is 97 % full, with 3.1 GB of 103 GB left.",
		"It peaked at 97.3% over the last 6 hours.",
		"It has been open for almost 3 hours, since 12:19 UTC.",
		"It began on 14 March at 12:09.",
		"Since 2026-03-14T12:09:26Z nothing was freed.",
		`The log says "no space left on device".`,
		"The log says `write /var/lib/docker/overlay2: no space left on device` again and again.",
		"The device /dev/sda1 holds an ext4 file system mounted rw,relatime.",
		"Three containers and two services may fail next; this is the first time.",
		"1. Look at what is large. 2. Free it.",
		"Finding fnd_0000000000000000000000c is the cause, e.g. of failing writes.",
		"It's the host's only disk, so don't wait.",
		"The condition fs_full holds; errno 28 means that no space is left.",
		"TLS 1.3, HTTP/2 and IPv6 have nothing to do with it.",
		"The used ratio is 0.973.",
		"Das Dateisystem /var/lib/docker ist zu 97 % voll.",
		"Most of the disk I/O is reads/writes of the service and up/down flapping.",
		"A 6-hour window shows a steady rise.",
	} {
		if clean, struck := evidence.Prose(s, facts); len(struck) > 0 || clean != s {
			t.Errorf("%q: struck %v, left %q", s, struck, clean)
		}
	}
}

func TestProseStrikesWhatNothingBacks(t *testing.T) {
	_, _, facts := aFinding()
	for _, s := range []string{
		"The file system is 93 % full.",
		"It is 97.9% full.",
		"It is ninety-three percent full.",
		"It holds 512 GB.",
		"There are 4.2 GiB left.",
		"It peaked at 97.3% over the last 24 hours.",
		"It has been open for 9 hours.",
		"It began at 08:15.",
		"It began at 3 am.",
		"It began on 2 March.",
		"Since 2026-03-11 nothing was freed.",
		`The log says "disk quota exceeded".`,
		"The log says 'I/O error on the device'.",
		"The log says `segfault in nginx`.",
		`The log says "disk quota exceeded`,
		"The log says “disk quota exceeded”.",
		"The device /dev/sdb1 is full.",
		"The host web-2 is down as well.",
		"The container redis-cache-3 fills it.",
		"The unit backup.service fills it.",
		"It is caused by db.internal.",
		"Finding fnd_0000000000000000000000d is the cause.",
		"Process 4711 holds a deleted file.",
		"It listens on 10.1.2.3.",
		"About 3/4 of it are images.",
		"It grew by 12-15 GB.",
		"Version 1.2.3 has a bug.",
		"It is ９３ percent full.",
		"It is ½ full.",
		"使用率是九十三。",
		"使用率93パーセント",
		"It ended with code 137.",
		"There were 1,204 errors.",
		"Load is -3.",
		"used=93%",
		"It is >93% full",
		"It is 93percent full.",
		"It rose 9.7e1 fold and 93 per cent.",
	} {
		clean, struck := evidence.Prose("The disk is full. "+s, facts)
		if len(struck) != 1 || clean != "The disk is full." {
			t.Errorf("%q: struck %v, left %q", s, struck, clean)
		} else if struck[0].Reason == "" || struck[0].What != s {
			t.Errorf("%q: struck as %+v", s, struck[0])
		}
	}
}

func TestNameThatIsANumberBacksNone(t *testing.T) {
	for _, name := range []string{"93", "93%", "93percent", "93 percent", "12:15", "9", "2026-03-11"} {
		known := []evidence.Known{evidence.KnownResource(ops.Resource{ID: "res_0000000000000000000000a", Name: name})}
		for _, s := range []string{"It is 93 percent full.", "It is 93% full.", "It is 93percent full.", "It began at 12:15.", "It took 9 s.", "It began on 2026-03-11."} {
			if clean, struck := evidence.Prose(s, known); len(struck) != 1 {
				t.Errorf("a resource called %q lets %q pass: %q", name, s, clean)
			}
		}
	}
}

// A fact is something that a sentence can say, with the words for it and words
// for what is not so.
type fact struct{ good, bad string }

// facts draws what is known of a generated resource.
func (e *estate) facts(t *rapid.T) (known []evidence.Known, all []fact) {
	r := rapid.SampledFrom(e.resources).Draw(t, "about")
	known = append(known, evidence.KnownResource(r))
	for _, text := range e.texts[r.ID] {
		known = append(known, evidence.KnownText(text.Text))
		all = append(all, fact{`"` + part(t, text.Text) + `"`, `"` + rapid.SampledFrom([]string{"disk quota exceeded", "segfault at 0", "rejected by policy", "certificate has expired"}).Draw(t, "lie") + `"`})
	}
	var numbers []float64 // all that is known, in any unit
	for range 4 {
		s := rapid.SampledFrom(e.series[r.ID]).Draw(t, "series")
		c := ops.Claim{Kind: "metric", ResourceID: r.ID, Metric: s.Metric, Stat: "last", Minutes: 60}
		v := actual(s, "last", 60)
		c.Value = &v
		known = append(known, evidence.KnownClaim(c, ops.Evidence{From: now.Add(-time.Hour), To: now, TakenAt: now}))
		numbers = append(numbers, v)
		all = append(all, fact{words(s.Metric, v, rapid.IntRange(0, 3).Draw(t, "form")), ""})
		if by := v * rapid.SampledFrom([]float64{0.2, 0.61, 0.9, 1.12, 1.7, 3, 9}).Draw(t, "by"); true {
			all[len(all)-1].bad = words(s.Metric, by, rapid.IntRange(0, 3).Draw(t, "form"))
		}
	}
	m := rapid.SampledFrom(e.times[r.ID]).Draw(t, "moment")
	known = append(known, evidence.KnownClaim(ops.Claim{Kind: "time", ResourceID: r.ID, Name: m.Name, At: m.At}, ops.Evidence{From: m.At, To: m.At, TakenAt: now}))
	form := rapid.SampledFrom([]string{"15:04", "15:04 UTC", "2006-01-02 15:04", time.RFC3339, "2 January 15:04", "Jan 2, 2006 at 3:04 pm"}).Draw(t, "form")
	all = append(all, fact{m.At.Format(form), m.At.Add(time.Duration(rapid.IntRange(125, 1200).Draw(t, "off")) * time.Second).Format(form)})
	all = append(all, fact{r.Name, rapid.SampledFrom([]string{"app-77", "worker-9", "/dev/sdq3", "mail.internal", "cron@7.service"}).Draw(t, "name")})
	all = append(all, fact{"exit code " + r.Observed["exit_code"], "exit code " + rapid.SampledFrom([]string{"2", "126", "139"}).Draw(t, "code")})
	return known, slices.DeleteFunc(all, func(f fact) bool { return harmless(f, numbers, known) })
}

// words writes a reading for people.
func words(metric string, v float64, form int) string {
	switch evidence.UnitOf(metric) {
	case "ratio":
		return []string{fmt.Sprintf("%.1f %%", v*100), fmt.Sprintf("%.1f%%", v*100), fmt.Sprintf("%.1f percent", v*100), fmt.Sprintf("%.4f", v)}[form]
	case "bytes":
		return []string{fmt.Sprintf("%.3f GB", v/1e9), fmt.Sprintf("%.3fGiB", v/(1<<30)), fmt.Sprintf("%.0f bytes", v), fmt.Sprintf("%.2f MB", v/1e6)}[form]
	case "celsius":
		return []string{fmt.Sprintf("%.1f °C", v), fmt.Sprintf("%.1fC", v), fmt.Sprintf("%.1f degrees", v), fmt.Sprintf("%.2f", v)}[form]
	case "seconds":
		return []string{fmt.Sprintf("%.2f s", v), fmt.Sprintf("%.0f ms", v*1000), fmt.Sprintf("%.2f seconds", v), fmt.Sprintf("%.2fs", v)}[form]
	}
	return fmt.Sprintf("%.*f", form, v)
}

// harmless leaves out pairs that cannot be judged: a reading so small that its
// words say 0, a lie that another fact happens to make true.
func harmless(f fact, numbers []float64, known []evidence.Known) bool {
	var good, bad float64
	if n, _ := fmt.Sscanf(f.good, "%f", &good); n == 1 && !strings.Contains(f.good, ":") {
		if math.Abs(good) < 20 && !strings.Contains(f.good, ".") || good < 0.05 && good > -0.05 {
			return true
		}
		if _, err := fmt.Sscanf(f.bad, "%f", &bad); err != nil {
			return true
		}
	}
	for _, k := range known {
		for _, text := range k.Texts {
			if text != "" && strings.Contains(f.bad, text) || strings.HasPrefix(f.bad, "exit code") && strings.Contains(text, strings.TrimPrefix(f.bad, "exit code ")) {
				return true
			}
		}
	}
	return false
}

var frames = []string{"It is at %s now.", "We saw %s there, which is unusual.", "Reading: %s", "The cause may be load; the value %s supports that.", "After %s the service recovered."}

// TestFabricatedProseIsStruck draws sentences that say what is so and what is
// not. The bars are those of claims.
func TestFabricatedProseIsStruck(t *testing.T) {
	var told, struckTrue, lies, believed int
	rapid.Check(t, func(rt *rapid.T) {
		e := estates().Draw(rt, "estate")
		known, facts := e.facts(rt)
		for _, f := range facts {
			frame := rapid.SampledFrom(frames).Draw(rt, "frame")
			told++
			if _, struck := evidence.Prose(fmt.Sprintf(frame, f.good), known); len(struck) > 0 {
				struckTrue++
				t.Logf("true, struck: %v", struck)
			}
			if truth(f.bad, known) {
				continue
			}
			lies++
			if clean, struck := evidence.Prose(fmt.Sprintf(frame, f.bad), known); len(struck) == 0 {
				believed++
				t.Logf("false, believed: %q", clean)
			}
		}
	})
	t.Logf("%d true sentences, %d struck; %d false ones, %d believed", told, struckTrue, lies, believed)
	if told < 500 || struckTrue*100 >= told || believed*100 > lies {
		t.Errorf("of %d true sentences %d were struck, of %d false ones %d believed; the bars are 1 %%", told, struckTrue, lies, believed)
	}
}

// truth says whether a lie happens to be so: its number is another that is
// known, in the same words.
func truth(bad string, known []evidence.Known) bool {
	var n float64
	if got, _ := fmt.Sscanf(bad, "%f", &n); got != 1 || strings.ContainsAny(bad, ":-") {
		return false
	}
	for _, k := range known {
		for _, x := range k.Numbers {
			for _, by := range []float64{1, 100, 1e-9, 1e-6, 1000, 1.0 / (1 << 30)} {
				if math.Abs(n-x.Value*by) <= 0.021*math.Abs(x.Value*by) {
					return true
				}
			}
		}
		for _, text := range k.Texts {
			for _, w := range strings.FieldsFunc(text, func(r rune) bool { return !strings.ContainsRune("0123456789.", r) }) {
				var y float64
				if got, _ := fmt.Sscanf(w, "%f", &y); got == 1 && math.Abs(n-y) <= 0.021*y {
					return true
				}
			}
		}
		if slices.ContainsFunc(k.Durations, func(d time.Duration) bool { return strings.HasSuffix(bad, "s") && math.Abs(n-d.Seconds()) < 2 }) {
			return true
		}
	}
	return false
}

func TestProseIsBounded(t *testing.T) {
	_, _, facts := aFinding()
	long := strings.Repeat("The disk is 97 % full. ", 20_000)
	clean, struck := evidence.Prose(long, facts)
	if len(struck) != 0 || clean != strings.TrimSpace(long) {
		t.Errorf("%d struck, %d of %d bytes left", len(struck), len(clean), len(long))
	}
}

// FuzzProse feeds it whatever a model might write: what is left is a part of
// what was said and is left again when it is asked again.
func FuzzProse(f *testing.F) {
	f.Add("The disk is 97 % full. It is 93 % full.")
	f.Add("It began at 25:61 on 31 February, \"quoted 'and `nested")
	f.Add("٩٣ percent, ninety-three percent, ½, 1e999 GB, 0x1F, 1_000, 1.2.3.4:80")
	_, _, facts := aFinding()
	f.Fuzz(func(t *testing.T, text string) {
		clean, _ := evidence.Prose(text, facts)
		again, struck := evidence.Prose(clean, facts)
		if len(struck) > 0 || again != clean {
			t.Errorf("%q leaves %q, which leaves %q (%v)", text, clean, again, struck)
		}
	})
}

func BenchmarkProse(b *testing.B) {
	_, _, facts := aFinding()
	text := strings.Repeat("The file system /var/lib/docker is 97 % full since 12:19 UTC. It will be full in 9 hours. ", 5)
	for b.Loop() {
		evidence.Prose(text, facts)
	}
}
