import { defineConfig } from 'vitest/config'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { stamp } from './stamp.ts'

const charts = /uplot.*\.js|\/parts\/(Chart|EvidenceCharts)\b/

// Addresses are relative: the page learns where it is mounted from the base
// element of index.html, which the Go handler writes.
export default defineConfig({
  base: './',
  plugins: [svelte(), stamp()],
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    cssCodeSplit: false,
    chunkSizeWarningLimit: 1000,
    // What a minifier would save, compression saves anyway. Pages come when
    // somebody goes there (src/shell/pages.ts); what several of them share is
    // in the first script, but for charts: many small files are many waits.
    rolldownOptions: {
      output: {
        chunkFileNames: ({ facadeModuleId, name }) => `assets/${facadeModuleId?.match(/pages\/(\w+)\//)?.[1] ?? name}-[hash].js`,
        codeSplitting: {
          groups: [
            { name: 'shared', test: (id) => !charts.test(id) && /\/src\/(lib|parts)\/|\/node_modules\/|^\0/.test(id), minShareCount: 2, priority: 2 },
            { name: 'charts', test: charts, priority: 1 },
          ],
        },
      },
    },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:7499' } },
  test: { include: ['src/**/*.test.ts'] },
})
