// Light, dark, or what the system says; a choice is kept.
export type Choice = 'system' | 'light' | 'dark'

const key = 'reeve.theme'
const dark = matchMedia('(prefers-color-scheme: dark)')

function stored(): Choice {
  try {
    const v = localStorage.getItem(key)
    return v === 'light' || v === 'dark' ? v : 'system'
  } catch {
    return 'system'
  }
}

class Theme {
  choice = $state<Choice>(stored())
  system = $state(dark.matches)
  shown = $derived(this.choice === 'system' ? (this.system ? 'dark' : 'light') : this.choice)

  constructor() {
    dark.addEventListener('change', (e) => (this.system = e.matches))
  }

  choose(choice: Choice) {
    this.choice = choice
    if (choice === 'system') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = choice
    try {
      localStorage.setItem(key, choice)
    } catch {
      // Not kept, then.
    }
  }

  toggle() {
    this.choose(this.shown === 'dark' ? 'light' : 'dark')
  }
}

export const theme = new Theme()
