/** Counts what passed and what failed, and says so as it goes. */
import type { Anomaly } from './history.ts'

/** Why a test cannot be run here. */
export type Skipped = { readonly skipped: string }

export class Report {
  #passed = 0
  #failed = 0
  #skipped = 0

  /** Runs one test; a rejection is a failure and does not stop the others. */
  async test(name: string, run: () => Promise<string | Skipped>): Promise<void> {
    const began = performance.now()
    try {
      const figures = await run()
      if (typeof figures !== 'string') {
        this.skip(name, figures.skipped)
        return
      }
      this.#passed++
      console.log(`ok   ${name} (${seconds(began)}): ${figures}`)
    } catch (error) {
      this.#failed++
      console.log(`FAIL ${name} (${seconds(began)})\n${indent(String(error))}`)
    }
  }

  skip(name: string, reason: string): void {
    this.#skipped++
    console.log(`skip ${name}: ${reason}`)
  }

  /** Prints the closing line and sets the exit code. */
  close(): void {
    const skipped = this.#skipped === 0 ? '' : `, ${this.#skipped} skipped`
    console.log(`\n${this.#passed} passed, ${this.#failed} failed${skipped}`)
    process.exitCode = this.#failed === 0 ? 0 : 1
  }
}

/** Throws, naming them, when there are anomalies. */
export function expectNone(anomalies: readonly Anomaly[], context: string): void {
  if (anomalies.length === 0) return
  const lines = anomalies.map(({ kind, detail }) => `${kind}: ${detail}`)
  throw new Error(`${context}\n${lines.join('\n')}`)
}

export function thousands(count: number): string {
  return Math.round(count).toLocaleString('en-US')
}

function seconds(began: number): string {
  return `${((performance.now() - began) / 1000).toFixed(1)} s`
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '     ')
}
