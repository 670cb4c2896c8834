import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { errorsPage } from '../../../scripts/error-docs.ts'
import { readPage } from '../../../scripts/generated-page.ts'
import { rejectionCases } from '../../../scripts/rejection-cases.ts'
import { errorTable, LiftbridgeError, type ErrorCode } from './errors.ts'

const root = join(import.meta.dirname, '..', '..', '..')

test('docs/errors.md says what the code answers', () => {
  const { page, wanted } = readPage(errorsPage)
  assert.equal(page, wanted, `run ${errorsPage.command}`)
})

/**
 * Rejections that no client of a single server can cause: between servers, of calls that are not
 * served yet, and of operations that only a faulty server would write.
 */
const NOT_FOR_CLIENTS = [
  /operations\/(isr|consumer-groups|table)\.ts$/,
  /(apply-entry|failover|request-codec)\.ts$/,
  /operations\/create-stream\.ts: (no partitions provided|partition listed twice)/,
  /operations\/create-stream\.ts: Invalid (partition|replicas of partition) /,
  /names\.ts: (No|Invalid) \$\{what\}/,
  /placement\.ts: failed to get cluster configuration/,
]

test('every rejection that metadata can answer a client has a case in scripts/rejection-cases.ts', () => {
  const texts = rejectionCases.map(({ provoke }) => {
    const answer = provoke()
    assert.ok(answer.kind === 'rejected')
    return answer.text
  })
  const sources = globSync('packages/metadata/src/**/*.ts', { cwd: root })
  let found = 0
  for (const path of sources.filter((name) => !name.endsWith('.test.ts'))) {
    for (const template of rejectedTexts(readFileSync(join(root, path), 'utf8'))) {
      found++
      if (
        NOT_FOR_CLIENTS.some(
          (excused) => excused.test(path) || excused.test(`${path}: ${template}`),
        )
      ) {
        continue
      }
      const pattern = template
        .split(/\$\{.*?\}/)
        .map(escaped)
        .join('.*')
      const matches = new RegExp(`^${pattern}`)
      assert.ok(
        texts.some((text) => matches.test(text)),
        `${path} rejects with "${template}", which no case provokes`,
      )
    }
  }
  assert.ok(found > 25, `only ${found} rejections were found: has their form changed?`)
})

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
}

/** The text, or how it begins, of every `rejected(status, text)`. */
function rejectedTexts(source: string): string[] {
  return [...source.matchAll(/rejected\(\s*'[A-Z_]+',\s*(?:'([^']*)'|`([^`]*)`)/g)].map(
    ([, plain, template]) => plain ?? template ?? '',
  )
}

test('a text has no place left when its values are given', () => {
  for (const code of Object.keys(errorTable) as ErrorCode[]) {
    const names = [...errorTable[code].text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '')
    const error = new LiftbridgeError(code, Object.fromEntries(names.map((name) => [name, 'x'])))
    assert.doesNotMatch(error.message, /[{}]/)
    assert.equal(error.status, errorTable[code].status)
  }
})
