package llm

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"reeve/internal/ops"
	"reeve/internal/schema"
)

// A bench is a router over scripted models, with a ledger in memory.
type bench struct {
	*Router
	mu    sync.Mutex
	calls []ops.ModelCall
	lost  error // what recording answers
	exams map[string]Exam
}

func newBench(t *testing.T, chain []string, models map[string]func(Request) (Reply, error), change func(*Options)) *bench {
	t.Helper()
	b := &bench{exams: map[string]Exam{}}
	providers := map[string]Provider{}
	for _, name := range chain {
		provider, _, _ := strings.Cut(name, ":")
		providers[provider] = Scripted(func(r Request) (Reply, error) { return models[provider+":"+r.Model](r) })
	}
	o := Options{Providers: providers, Chains: map[ops.ModelUse][]string{ops.UsePatrol: chain, ops.UseInvestigation: chain, ops.UseChat: chain},
		Record: b.record, Account: Account{Spent: b.spent, Course: b.course},
		Exam:   func(name string) (Exam, bool) { e, ok := b.exams[name]; return e, ok },
		Remedy: func(string, Class) string { return "mend it" }}
	if change != nil {
		change(&o)
	}
	b.Router = New(slog.New(slog.DiscardHandler), o)
	return b
}

func (b *bench) record(_ context.Context, c ops.ModelCall) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost == nil {
		b.calls = append(b.calls, c)
	}
	return b.lost
}

func (b *bench) spent(_ context.Context, runID string, since time.Time) (s ops.Spend, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if !c.At.Before(since) && (runID == "" || c.RunID == runID) {
			s = s.Plus(ops.SpendOf(c.Tokens, c.CostMicroUSD))
		}
	}
	return s, nil
}

func (b *bench) course(_ context.Context, since time.Time, step time.Duration) (all []ops.SpendAt, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.calls {
		if !c.At.Before(since) {
			all = append(all, ops.SpendAt{From: c.At.Truncate(step), Spend: ops.SpendOf(c.Tokens, c.CostMicroUSD)})
		}
	}
	return all, nil
}

func (b *bench) outcomes() string {
	var all []string
	for _, c := range b.calls {
		all = append(all, c.Model+" "+c.Outcome)
	}
	return strings.Join(all, ", ")
}

func says(text string) func(Request) (Reply, error) {
	return func(Request) (Reply, error) { return Reply{Message: Say(Assistant, text)}, nil }
}

func fails(e Error) func(Request) (Reply, error) {
	return func(Request) (Reply, error) { x := e; x.Provider = "a"; return Reply{}, &x }
}

func ask(b *bench, text string) (Answer, error) {
	return b.Ask(context.Background(), Job{Use: ops.UsePatrol, RunID: "run_1"}, Request{Messages: []Message{Say(User, text)}, MaxOutput: 100}, nil)
}

func classOf(err error) Class {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class
	}
	return ""
}

func TestFailureOfAModelFallsBackToTheNext(t *testing.T) {
	for _, class := range []Class{Auth, Credit, Refusal, Protocol, Transient, RateLimit, ContextLength, Invalid} {
		b := newBench(t, []string{"a:big", "b:small"}, map[string]func(Request) (Reply, error){
			"a:big": fails(Error{Class: class, Status: 400, RetryAfter: time.Minute}), "b:small": says("here")}, nil)
		a, err := ask(b, "hello")
		if err != nil || a.Model != "b:small" || a.Message.Text() != "here" {
			t.Fatalf("%s: %v %v", class, a.Model, err)
		}
		if want := "a:big " + string(class) + ", b:small ok"; b.outcomes() != want {
			t.Errorf("%s: recorded %s", class, b.outcomes())
		}
		if len(a.Attempts) != 2 || a.Attempts[1].Attempt != 2 || a.Attempts[1].RunID != "run_1" {
			t.Errorf("%s: attempts %+v", class, a.Attempts)
		}
	}
}

func TestCancelledAsksNobodyElse(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	b := newBench(t, []string{"a:big", "b:small"}, map[string]func(Request) (Reply, error){
		"a:big":   func(Request) (Reply, error) { cancel(); return Reply{}, &Error{Class: Cancelled, Provider: "a"} },
		"b:small": says("here")}, nil)
	_, err := b.Ask(ctx, Job{Use: ops.UsePatrol}, Request{Messages: []Message{Say(User, "hello")}}, nil)
	if classOf(err) != Cancelled || b.outcomes() != "a:big cancelled" {
		t.Errorf("%v, %s", err, b.outcomes())
	}
	if s := b.Status("a:big"); s.Breaker != BreakerClosed || s.State != StateUnknown {
		t.Errorf("%+v", s)
	}
}

func TestShortWaitIsWaitedForAndLongIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": func(Request) (Reply, error) {
			if n++; n == 1 {
				return Reply{}, &Error{Class: RateLimit, Provider: "a", Status: 429, RetryAfter: 3 * time.Second}
			}
			return Reply{Message: Say(Assistant, "later")}, nil
		}}, nil)
		began := time.Now()
		if a, err := ask(b, "hello"); err != nil || a.Message.Text() != "later" {
			t.Fatal(err)
		}
		if waited := time.Since(began); waited < 3*time.Second || waited > 4*time.Second {
			t.Errorf("waited %v", waited)
		}
		n = 0
		b.models = map[string]*model{}
		b.o.Providers["a"] = Scripted(fails(Error{Class: RateLimit, Status: 429, RetryAfter: time.Minute}))
		began = time.Now()
		if _, err := ask(b, "hello"); classOf(err) != RateLimit || time.Since(began) != 0 {
			t.Errorf("%v after %v", err, time.Since(began))
		}
		if _, why := b.Available(ops.UsePatrol); !strings.Contains(why, "asked again at") {
			t.Errorf("available: %q", why)
		}
		time.Sleep(75 * time.Second)
		if name, why := b.Available(ops.UsePatrol); name != "a:big" {
			t.Errorf("not available after its time: %q", why)
		}
	})
}

func TestOpenBreakerSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := 0
		b := newBench(t, []string{"a:big", "b:small"}, map[string]func(Request) (Reply, error){
			"a:big": func(Request) (Reply, error) {
				n++
				return Reply{}, &Error{Class: Transient, Provider: "a", Status: 503}
			},
			"b:small": says("here")}, nil)
		for range 6 {
			if a, err := ask(b, "hello"); err != nil || a.Model != "b:small" {
				t.Fatal(err)
			}
		}
		if n != breakerFailures {
			t.Errorf("asked %d times", n)
		}
		if s := b.Status("a:big"); s.Breaker != BreakerOpen || s.State != StateUnreachable || s.Remedy == "" {
			t.Errorf("%+v", s)
		}
	})
}

func TestAuthIsToldOfTheProviderUntilItAnswers(t *testing.T) {
	bad := true
	b := newBench(t, []string{"a:big", "a:small"}, map[string]func(Request) (Reply, error){
		"a:big": func(Request) (Reply, error) {
			if bad {
				return Reply{}, &Error{Class: Auth, Provider: "a", Status: 401}
			}
			return Reply{Message: Say(Assistant, "here")}, nil
		},
		"a:small": fails(Error{Class: Auth, Status: 401})}, nil)
	for range 5 {
		if _, err := ask(b, "hello"); classOf(err) != Auth {
			t.Fatal(err)
		}
	}
	if p := b.Providers()["a"]; p.State != StateFailing || p.Class != Auth || p.Breaker != BreakerClosed {
		t.Errorf("%+v", p)
	}
	again := newBench(t, []string{"a:big"}, nil, func(o *Options) { o.Last = b.calls[:1] })
	if p := again.Providers()["a"]; p.State != StateFailing {
		t.Errorf("after a restart: %+v", p)
	}
	bad = false
	if _, err := ask(b, "hello"); err != nil {
		t.Fatal(err)
	}
	if p := b.Providers()["a"]; p.State == StateFailing {
		t.Errorf("after it answered: %+v", p)
	}
}

type color struct {
	Name string `json:"name" enum:"red,green"`
}

func TestUnfitReplyIsRepairedOnceThenTheNextIsAsked(t *testing.T) {
	var told string
	b := newBench(t, []string{"a:big", "b:small"}, map[string]func(Request) (Reply, error){
		"a:big": func(r Request) (Reply, error) {
			told = r.Messages[len(r.Messages)-1].Text()
			return Reply{Message: Say(Assistant, `{"name":"blue"}`)}, nil
		},
		"b:small": says("Sure:\n```json\n{\"name\": \"red\"}\n```")}, nil)
	a, err := b.Ask(t.Context(), Job{Use: ops.UseChat}, Request{Messages: []Message{Say(User, "hello")}, Schema: schema.Of[color]()}, nil)
	if err != nil || string(a.JSON) != `{"name": "red"}` {
		t.Fatalf("%s %v", a.JSON, err)
	}
	if !strings.Contains(told, "must be one of red, green") {
		t.Errorf("the model was told: %s", told)
	}
	if b.outcomes() != "a:big protocol, a:big protocol, b:small ok" {
		t.Error(b.outcomes())
	}
}

func TestThoughtsOfOthersStayAway(t *testing.T) {
	var seen []Message
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": func(r Request) (Reply, error) {
		seen = r.Messages
		return Reply{Message: Message{Parts: []Part{{Opaque: []byte(`"mine"`)}, {Text: "here"}}}}, nil
	}}, nil)
	history := []Message{Say(User, "hello"), {Role: Assistant, Parts: []Part{{Opaque: []byte(`"x"`), Owner: "b:small"}, {Text: "hi", Opaque: []byte(`"y"`), Owner: "b:small"},
		{Opaque: []byte(`"z"`), Owner: "a:big"}}}, {Role: Assistant, Parts: []Part{{Opaque: []byte(`"x"`), Owner: "b:small"}}}}
	a, err := b.Ask(t.Context(), Job{Use: ops.UseChat}, Request{Messages: history}, nil)
	if err != nil || len(seen) != 2 || len(seen[1].Parts) != 2 || seen[1].Parts[0].Opaque != nil || string(seen[1].Parts[1].Opaque) != `"z"` {
		t.Errorf("%+v %v", seen, err)
	}
	if a.Message.Parts[0].Owner != "a:big" || history[1].Parts[1].Opaque == nil {
		t.Errorf("%+v", a.Message)
	}
}

func TestContextErrorTeachesTheWindowAndAsksALargerModel(t *testing.T) {
	b := newBench(t, []string{"a:small", "b:same", "c:big"}, map[string]func(Request) (Reply, error){
		"a:small": fails(Error{Class: ContextLength, Status: 400, Window: 4096}), "b:same": says("no"), "c:big": says("yes")},
		func(o *Options) { o.Windows = map[string]int64{"b": 4096, "c": 100_000} })
	if w := b.Window(ops.UsePatrol); w != DefaultWindow {
		t.Errorf("unknown window is %d", w)
	}
	a, err := ask(b, "hello")
	if err != nil || a.Model != "c:big" || b.outcomes() != "a:small context_length, c:big ok" {
		t.Errorf("%s %v", b.outcomes(), err)
	}
	if w := b.Window(ops.UsePatrol); w != 4096 {
		t.Errorf("learnt %d", w)
	}
}

func TestGradeDecidesWhatAModelMayDo(t *testing.T) {
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": says("here")}, func(o *Options) { o.ExamRequired = true })
	for _, c := range []struct {
		grade Grade
		want  map[Grade]bool
	}{
		{Unexamined, map[Grade]bool{GradeExplain: true, GradePatrol: true, GradeInvestigate: false}},
		{GradeNone, map[Grade]bool{}},
		{GradeExplain, map[Grade]bool{GradeExplain: true}},
		{GradePatrol, map[Grade]bool{GradeExplain: true, GradePatrol: true}},
		{GradeInvestigate, map[Grade]bool{GradeExplain: true, GradePatrol: true, GradeInvestigate: true}},
	} {
		if c.grade != Unexamined {
			b.exams["a:big"] = Exam{Grade: c.grade}
		}
		for _, need := range Grades[1:] {
			name, why := b.AvailableFor(Job{Use: ops.UsePatrol, Need: need})
			if (name != "") != c.want[need] || name == "" && why == "" {
				t.Errorf("grade %q, need %s: %q %q", c.grade, need, name, why)
			}
		}
	}
	b.exams["a:big"] = Exam{Grade: GradeInvestigate, Identity: "answers as big-1"}
	b.get("a:big").answered = "big-2"
	if name, _ := b.Available(ops.UseInvestigation); name != "" || len(b.Outdated()) != 1 {
		t.Error("the exam of another model counts")
	}
}

func TestPanicOfAProviderGivesEverythingBack(t *testing.T) {
	b := newBench(t, []string{"a:big"}, map[string]func(Request) (Reply, error){"a:big": func(Request) (Reply, error) { panic("boom") }}, func(o *Options) { o.Ceilings.DayTokens = 1000 })
	func() {
		defer func() { recover() }()
		ask(b, "hello")
	}()
	if len(b.ledger.flight) != 0 {
		t.Error("room stays taken")
	}
}
