// What a patrol would send, and the state of patrols, as the API answers them.
import type { Run } from '../../lib/patrol'

export interface Preview {
  model?: string
  reason?: string
  system: string
  tools: { name: string; doc: string }[] | null
  messages: { role: string; parts: { text?: string }[] }[] | null
  tokens: number
  run_input_tokens: number
  cost_micro_usd: number | null
  resources: number
  withheld: number
  quiet?: string
}

export interface PatrolStatus {
  enabled: boolean
  every_ms: number
  events?: string[]
  next_at?: string
  running?: Run
  queue?: Run[]
  last?: Run
  failures: number
  model?: string
  model_why?: string
  estimate?: { input_tokens: number; output_tokens: number; cost_micro_usd: number | null }
}
