import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { env } from 'node:process'
import { test } from 'node:test'
import { Script } from './script.suite.ts'

/**
 * Each file of testdata is a story: comments, commands behind `>`, and below each command what the
 * servers did. `UPDATE=1` writes down what they do now; the reviewer reads the difference.
 */
const folder = join(import.meta.dirname, '..', 'testdata')
const stories = readdirSync(folder).filter((name) => name.endsWith('.txt'))

/** The story with every outcome as it is now. */
function retold(story: string): string {
  const script = new Script()
  const lines: string[] = []
  for (const line of story.split('\n')) {
    if (line.startsWith('> ')) lines.push(line, ...script.run(line.slice(2)))
    else if (line.startsWith('#') || line === '') lines.push(line)
  }
  return lines.join('\n')
}

for (const name of stories) {
  test(`the story of ${name} is told as it was written`, () => {
    const path = join(folder, name)
    const story = readFileSync(path, 'utf8')
    const told = retold(story)
    if (env['UPDATE'] === '1') writeFileSync(path, told)
    else assert.equal(told, story)
  })
}

test('the scripts cover the algorithm: one file a subject', () => {
  assert.ok(stories.length >= 10, stories.join(' '))
})
