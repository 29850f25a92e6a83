// One ticking now for the whole page, so that ages agree with each other.
// It follows the server's clock once that is known.
let offset = 0

class Clock {
  now = $state(Date.now())

  constructor() {
    setInterval(() => (this.now = Date.now() + offset), 1000)
  }

  follow(serverTime: string) {
    const ms = Date.parse(serverTime)
    if (Number.isFinite(ms)) offset = ms - Date.now()
    if (Math.abs(offset) < 2000) offset = 0
    this.now = Date.now() + offset
  }
}

export const clock = new Clock()
