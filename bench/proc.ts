/** What Linux says about a process: CPU time and memory. */
import { readFileSync, writeFileSync } from 'node:fs'

/** Clock ticks per second in /proc: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100
const UTIME_FIELD = 13
const STIME_FIELD = 14

/** User and system time used so far, of all threads, in seconds; 10 ms resolution. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  // The command's name may hold spaces; everything after its closing parenthesis is plain.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const ticks = Number(fields[UTIME_FIELD - 2]) + Number(fields[STIME_FIELD - 2])
  return ticks / TICKS_PER_SECOND
}

/** The most memory the process had resident since `resetPeak`, in MiB. */
export function peakResidentMiB(pid: number): number {
  const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(line?.[1] ?? 0) / 1024
}

/** The memory the process has resident now, in MiB. */
export function residentMiB(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))
  return Number(line?.[1] ?? 0) / 1024
}

/** Starts a new peak; where that is not permitted the peak stays that of the whole run. */
export function resetPeak(pid: number): void {
  try {
    writeFileSync(`/proc/${pid}/clear_refs`, '5')
  } catch {
    // Not permitted here.
  }
}
