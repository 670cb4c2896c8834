interface Scheduled {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

/** What happens next in virtual time; equal times in the order of scheduling. A binary heap. */
export class EventQueue {
  now = 0
  ran = 0
  #heap: Scheduled[] = []
  #order = 0

  after(delay: number, run: () => void): void {
    this.at(this.now + delay, run)
  }

  at(at: number, run: () => void): void {
    this.#order += 1
    const heap = this.#heap
    heap.push({ at: Math.max(at, this.now), order: this.#order, run })
    let place = heap.length - 1
    while (place > 0) {
      const parent = (place - 1) >> 1
      if (!this.#before(place, parent)) break
      this.#swap(place, parent)
      place = parent
    }
  }

  /** Runs the next event; false when there is none. */
  step(): boolean {
    const heap = this.#heap
    const [first] = heap
    const last = heap.pop()
    if (first === undefined || last === undefined) return false
    if (heap.length > 0) {
      heap[0] = last
      this.#sink()
    }
    this.now = first.at
    this.ran += 1
    first.run()
    return true
  }

  #sink(): void {
    const count = this.#heap.length
    for (let place = 0; ;) {
      let least = place
      for (const child of [2 * place + 1, 2 * place + 2]) {
        if (child < count && this.#before(child, least)) least = child
      }
      if (least === place) return
      this.#swap(place, least)
      place = least
    }
  }

  #before(left: number, right: number): boolean {
    const one = this.#heap[left]
    const other = this.#heap[right]
    if (one === undefined || other === undefined) return false
    return one.at === other.at ? one.order < other.order : one.at < other.at
  }

  #swap(left: number, right: number): void {
    const one = this.#heap[left]
    const other = this.#heap[right]
    if (one === undefined || other === undefined) return
    this.#heap[left] = other
    this.#heap[right] = one
  }
}
