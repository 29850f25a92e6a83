// Short notes on what was done or could not be, read out by screen readers.
export interface Notice {
  id: number
  text: string
  bad: boolean
}

class Notices {
  list = $state<Notice[]>([])
  private last = 0

  say(text: string, bad = false) {
    const id = ++this.last
    this.list.push({ id, text, bad })
    setTimeout(() => this.drop(id), bad ? 9000 : 4000)
  }

  drop(id: number) {
    this.list = this.list.filter((n) => n.id !== id)
  }
}

export const notices = new Notices()
