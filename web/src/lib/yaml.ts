// A value as YAML, for reading; only what JSON can hold. Pure.
const plain = /^[A-Za-z_/.][\w./:@+-]*$/
const words = new Set(['true', 'false', 'null', 'yes', 'no', 'on', 'off', '~'])

function scalar(v: unknown): string {
  if (v === null || v === undefined) return 'null'
  if (typeof v !== 'string') return String(v)
  return plain.test(v) && !v.endsWith(':') && !words.has(v.toLowerCase()) ? v : JSON.stringify(v)
}

const empty = (v: unknown) => (Array.isArray(v) ? '[]' : '{}')
const deep = (v: unknown): v is object => typeof v === 'object' && v !== null

export function yaml(v: unknown, indent = ''): string {
  if (!deep(v)) return scalar(v)
  const entries = Object.entries(v)
  if (!entries.length) return empty(v)
  const lines = entries.map(([k, item]) => {
    const head = Array.isArray(v) ? '- ' : `${scalar(k)}:`
    if (!deep(item) || !Object.keys(item).length) return indent + head + (Array.isArray(v) ? '' : ' ') + (deep(item) ? empty(item) : scalar(item))
    const inner = yaml(item, indent + '  ')
    return Array.isArray(v) ? indent + head + inner.slice(indent.length + 2) : `${indent}${head}\n${inner}`
  })
  return lines.join('\n')
}
