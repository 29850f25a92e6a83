package config

import "time"

// Models sets the language models. Reeve does its whole work without any.
type Models struct {
	Providers     map[string]Provider `koanf:"providers" doc:"By the name that stands before the colon of a model: anthropic, openai, gemini, deepseek, ollama, or one of your own with a type."`
	Chat          []string            `koanf:"chat" doc:"Models for conversations, as provider:model, the first that answers wins."`
	Patrol        []string            `koanf:"patrol" doc:"Models for patrols; empty: patrols do without."`
	Investigation []string            `koanf:"investigation" doc:"Models for investigations; empty: runbooks alone."`
	Proposal      []string            `koanf:"proposal" doc:"Models for proposals."`

	Timeout     Duration `koanf:"timeout" default:"5m" doc:"Of one call."`
	IdleTimeout Duration `koanf:"idle_timeout" default:"1m" doc:"How long a reply may stand still."`

	Ceilings Ceilings `koanf:"ceilings" doc:"What may be spent; the tokens hold also for models without a known price."`
	Prices   []Price  `koanf:"prices" doc:"Prices of models that the built-in table does not know, or knows wrongly."`

	Withhold     Withhold `koanf:"withhold" doc:"What no model is shown."`
	Pseudonymise bool     `koanf:"pseudonymise" doc:"Whether names of hosts and resources are replaced before anything is sent, and put back in what comes."`
	ExamRequired bool     `koanf:"exam_required" default:"true" doc:"Whether a model must pass reeve models test before it may investigate."`
}

// Provider is one way to reach models.
type Provider struct {
	Type    string `koanf:"type" doc:"anthropic, openai, deepseek, gemini, ollama or scripted; default what the name says, openai for others (any OpenAI-compatible server)."`
	URL     string `koanf:"url" doc:"Base address; default the provider's own, http://127.0.0.1:11434 for ollama." secret:"true"`
	Key     string `koanf:"key" secret:"true" doc:"API key: a value, file:PATH, env:NAME or sealed:NAME (reeve secret set NAME); default env:ANTHROPIC_API_KEY, OPENAI_API_KEY, GEMINI_API_KEY, DEEPSEEK_API_KEY."`
	Window  int64  `koanf:"window" doc:"Context window of its models in tokens, where Reeve does not know it."`
	Scripts string `koanf:"scripts" doc:"For type scripted: folder of reply scripts, for tests and demonstrations."`
}

// Ceilings are what may be spent; 0 is none.
type Ceilings struct {
	RunTokens   int64   `koanf:"run_tokens" default:"200000" doc:"Tokens of one run or investigation, in and out."`
	RunInput    int64   `koanf:"run_input_tokens" default:"20000" doc:"Input tokens of one patrol run, summed over its requests."`
	DayTokens   int64   `koanf:"day_tokens" default:"1000000" doc:"Tokens of 24 hours."`
	MonthTokens int64   `koanf:"month_tokens" default:"10000000" doc:"Tokens of 30 days."`
	RunUSD      float64 `koanf:"run_usd" default:"1" doc:"US dollars of one run or investigation."`
	DayUSD      float64 `koanf:"day_usd" default:"5" doc:"US dollars of 24 hours."`
	MonthUSD    float64 `koanf:"month_usd" default:"50" doc:"US dollars of 30 days."`
}

// Price is the price of a model.
type Price struct {
	Model      string   `koanf:"model" doc:"provider:model; * matches."`
	Input      *float64 `koanf:"input" doc:"US dollars a million input tokens; absent: unknown."`
	Output     *float64 `koanf:"output" doc:"US dollars a million output tokens; absent: unknown."`
	Cached     *float64 `koanf:"cached" doc:"US dollars a million input tokens read from the provider's cache; default input."`
	CacheWrite *float64 `koanf:"cache_write" doc:"US dollars a million input tokens written to it; default input."`
}

// Withhold is what no model is shown.
type Withhold struct {
	Hosts  []string `koanf:"hosts" doc:"Names of hosts; * and ? match."`
	Kinds  []string `koanf:"kinds" doc:"Kinds of resources."`
	Fields []string `koanf:"fields" doc:"Of what is told of a resource: labels, attributes, logs, processes, notes."`
}

// Patrol sets the patrols.
type Patrol struct {
	Every       Duration `koanf:"every" default:"6h" doc:"How often the whole estate is looked over, 10m to 7d; 0 for never by itself."`
	Startup     bool     `koanf:"startup" default:"true" doc:"Whether it is looked over half a minute after the start, unless that was done within the hour."`
	Events      []string `koanf:"events" doc:"Which events ask for a look at what they concern: finding_opened, severity_raised, flapping, finding_cleared, anomaly, config_changed, inventory_changed, action_finished; default all, [] or [none] for none."`
	MinSeverity string   `koanf:"min_severity" default:"warning" doc:"The least severity of findings that ask for a look: warning or critical."`
	Spacing     Duration `koanf:"spacing" default:"2m" doc:"The least time between two looks at one resource that nobody asked for by hand."`
	Pacing      Duration `koanf:"pacing" default:"30s" doc:"The least time between two runs that nobody asked for by hand."`
	QuietRuns   int      `koanf:"quiet_runs" default:"7" doc:"How many runs in a row may end as quiet, without a model, before one looks anyway."`
	Timeout     Duration `koanf:"timeout" default:"20m" doc:"How long one run may take."`
	Keep        Duration `koanf:"keep" default:"365d" doc:"How long runs are kept."`
}

// Investigate sets the investigations.
type Investigate struct {
	Auto         string   `koanf:"auto" default:"critical" doc:"Which incidents are looked into by themselves: none, critical, or all."`
	Turns        int      `koanf:"turns" default:"15" doc:"Of the model, in one investigation."`
	Time         Duration `koanf:"time" default:"10m" doc:"How long one may take."`
	AtOnce       int      `koanf:"at_once" default:"3" doc:"How many go on at one time."`
	Attempts     int      `koanf:"attempts" default:"3" doc:"How many times one incident is looked into by itself."`
	Cooldown     Duration `koanf:"cooldown" default:"1h" doc:"Between two attempts."`
	AfterTimeout Duration `koanf:"after_timeout" default:"10m" doc:"The same after one that ran out of time."`
}

func defaultModels() Models {
	return Models{Timeout: Duration(5 * time.Minute), IdleTimeout: Duration(time.Minute), ExamRequired: true,
		Ceilings: Ceilings{RunTokens: 200_000, RunInput: 20_000, DayTokens: 1_000_000, MonthTokens: 10_000_000, RunUSD: 1, DayUSD: 5, MonthUSD: 50}}
}

func defaultPatrol() Patrol {
	return Patrol{Every: Duration(6 * time.Hour), Startup: true, MinSeverity: "warning", Spacing: Duration(2 * time.Minute),
		Pacing: Duration(30 * time.Second), QuietRuns: 7, Timeout: Duration(20 * time.Minute), Keep: Days(365)}
}

func defaultInvestigate() Investigate {
	return Investigate{Auto: "critical", Turns: 15, Time: Duration(10 * time.Minute), AtOnce: 3, Attempts: 3,
		Cooldown: Duration(time.Hour), AfterTimeout: Duration(10 * time.Minute)}
}
