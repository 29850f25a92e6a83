import { defineConfig } from 'vitest/config'
import { svelte } from '@sveltejs/vite-plugin-svelte'
import { stamp } from './stamp.ts'

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
    // What a minifier would save, compression saves anyway; one file also
    // means one round trip on a phone.
    rolldownOptions: { output: { codeSplitting: false } },
  },
  server: { proxy: { '/api': 'http://127.0.0.1:7499' } },
  test: { include: ['src/**/*.test.ts'] },
})
