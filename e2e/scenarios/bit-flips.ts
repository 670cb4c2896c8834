import { readFileSync, writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { streamFiles } from '../fault-files.ts'
import type { Random } from '../random.ts'
import { kill, partitionOnce, rolesOf, type Scenario, underLoad } from './scenario.ts'

const FLIPS_PER_FILE = 2
const TURNS_MAX = 8

/** One of three is damaged at rest; then its turn to lead comes. */
export const bitFlips: Scenario = {
  name: '10 bit flips in one replica, which is then elected (NATS 7549)',
  demands: 'a damaged replica is repaired from the others, or does not lead; nobody reads damage',
  run: (random) =>
    underLoad(async (load) => {
      const { cluster } = load
      const { followers } = await rolesOf(load, 0)
      const [damaged] = followers
      if (damaged === undefined) throw new Error('no follower')
      await sleep(2_000)
      await kill(load, damaged)
      const flipped = flipBits(damaged.server.dataDir, random)
      await cluster.restart(damaged)
      let turns = 0
      for (; turns < TURNS_MAX; turns += 1) {
        const { leader } = await rolesOf(load, 0)
        if (leader === damaged) break
        await kill(load, leader)
        await partitionOnce(cluster, 0, (state) => cluster.member(state.leader).up)
        await load.firstAck()
        await cluster.restart(leader)
        await cluster.healed(load.replicas, 30_000)
      }
      const led = turns < TURNS_MAX ? `it led after ${turns} turns` : 'it never led'
      return `${flipped} bits flipped; ${led}`
    }),
}

function flipBits(dataDir: string, random: Random): number {
  let flipped = 0
  for (const file of streamFiles(dataDir, (name) => name.endsWith('.log'))) {
    const bytes = readFileSync(file)
    // Not in the last part: that would be a torn tail, which is another scenario.
    const within = Math.floor(bytes.length * 0.8)
    for (let i = 0; i < FLIPS_PER_FILE && within > 0; i += 1, flipped += 1) {
      const at = random.between(0, within)
      bytes[at] = (bytes[at] ?? 0) ^ (1 << random.between(0, 8))
    }
    writeFileSync(file, bytes)
  }
  return flipped
}
