// The build step that makes dist servable as it is: it stores every text
// asset compressed beside the plain one, and writes the hash of the sources
// that a Go test compares with the tree.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join, relative, sep } from 'node:path'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import type { Plugin } from 'vite'

// sources lists what decides how dist looks; embed_test.go has the same list.
const sources = ['src', 'public', 'index.html', 'package.json', 'package-lock.json', 'vite.config.ts', 'stamp.ts', 'tsconfig.json', 'svelte.config.js']

function walk(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path]
  return readdirSync(path).flatMap((name) => walk(join(path, name)))
}

export function sourceHash(root: string): string {
  const files = sources.flatMap((s) => walk(join(root, s))).map((f) => relative(root, f).split(sep).join('/'))
  const lines = files.sort().map((f) => `${createHash('sha256').update(readFileSync(join(root, f))).digest('hex')}  ${f}\n`)
  return createHash('sha256').update(lines.join('')).digest('hex')
}

function compress(file: string) {
  if (!/\.(js|css|svg|html)$/.test(file)) return
  const plain = readFileSync(file)
  if (plain.length < 512 && !file.endsWith('.js')) return // every script counts, however small
  writeFileSync(file + '.br', brotliCompressSync(plain, { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } }))
  writeFileSync(file + '.gz', gzipSync(plain, { level: 9 }))
}

export function stamp(): Plugin {
  let root = ''
  let out = ''
  return {
    name: 'reeve-stamp',
    apply: 'build',
    configResolved(c) {
      root = c.root
      out = join(c.root, c.build.outDir)
    },
    closeBundle() {
      walk(out).forEach(compress)
      writeFileSync(join(out, 'source.sha256'), sourceHash(root) + '\n')
    },
  }
}
