/** Runs one load process against one system and measures the system's processes meanwhile. */
import { fork } from 'node:child_process'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { LoadReport, LoadResult, LoadTask } from './load-program.ts'
import { cpuSeconds, peakResidentMiB, resetPeak } from './proc.ts'

export type Measured = LoadResult & {
  /** CPU of the measured server per message, user and system, in microseconds. */
  readonly serverCpuUs: number
  /** The same for the nats-server beside it; undefined when there is none. */
  readonly natsCpuUs: number | undefined
  readonly peakResidentMiB: number
}

export type Pids = {
  /** Several processes count as one: their CPU together, the memory of the largest. */
  readonly server: number | readonly number[]
  readonly nats?: number | undefined
}

const folder = dirname(fileURLToPath(import.meta.url))
const SLACK_SECONDS = 120

export function runLoad(task: LoadTask, pids: Pids): Promise<Measured> {
  const servers = [pids.server].flat()
  for (const pid of servers) resetPeak(pid)
  const seconds = 'seconds' in task ? task.seconds : 0
  return new Promise((resolve, reject) => {
    const child = fork(join(folder, 'load-main.ts'), {
      execArgv: ['--conditions=source'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      timeout: (seconds * 4 + SLACK_SECONDS) * 1000,
    })
    let before = usage(pids)
    let outcome: Measured | string | undefined
    child.on('message', (report: LoadReport) => {
      if (report.kind === 'begin') before = usage(pids)
      else if (report.kind === 'error') outcome = report.message
      else outcome = measured(report.result, before, pids)
    })
    child.once('exit', (code) => {
      if (typeof outcome === 'object') resolve(outcome)
      else reject(new Error(`load ${task.kind}: ${outcome ?? `exit code ${code}`}`))
    })
    child.send(task)
  })
}

type Usage = { readonly server: number; readonly nats: number | undefined }

function usage(pids: Pids): Usage {
  return {
    server: [pids.server].flat().reduce((sum, pid) => sum + cpuSeconds(pid), 0),
    nats: pids.nats === undefined ? undefined : cpuSeconds(pids.nats),
  }
}

function measured(result: LoadResult, before: Usage, pids: Pids): Measured {
  const after = usage(pids)
  const perMessage = (seconds: number): number => (seconds * 1e6) / Math.max(1, result.messages)
  return {
    ...result,
    serverCpuUs: perMessage(after.server - before.server),
    natsCpuUs:
      after.nats === undefined ? undefined : perMessage(after.nats - (before.nats ?? after.nats)),
    peakResidentMiB: Math.max(...[pids.server].flat().map(peakResidentMiB)),
  }
}
