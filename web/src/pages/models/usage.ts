// What models are and took, as the API answers it.
export interface Exam {
  grade: string
  at: string
  tasks?: { name: string; doc: string; passed: number; of: number; wrong?: string[] }[]
}

export interface ModelStatus {
  model: string
  provider: string
  uses?: string[]
  state: 'unknown' | 'ok' | 'failing' | 'unreachable'
  breaker: 'closed' | 'open' | 'half_open'
  until?: string
  window_tokens: number
  window_from: string
  price: { input?: number | null; output?: number | null }
  exam: Exam | null
  exam_outdated: boolean
  last_ok_at?: string
  error_class?: string
  error?: string
  failing_since?: string
  remedy?: string
  barred?: Record<string, string>
}

export interface UsageRow {
  key: string
  calls: number
  failed: number
  input_tokens: number
  output_tokens: number
  cost_micro_usd: number
  unpriced_tokens: number
}

export interface Ceiling {
  name: string
  unit: 'tokens' | 'micro_usd'
  limit: number
  spent: number
}

export interface Usage {
  items: UsageRow[]
  ceilings?: Ceiling[]
}
