import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { configurationPage } from '../../../../scripts/config-docs.ts'
import { readPage } from '../../../../scripts/generated-page.ts'
import { loadConfig } from './load.ts'

const { page, wanted } = readPage(configurationPage)

test('docs/configuration.md says what the table of keys says', () => {
  assert.equal(page, wanted, `run ${configurationPage.command}`)
})

test('every example file of the page loads', () => {
  const examples = [...page.matchAll(/```(yaml|conf)\n(.*?)```/gs)]
  assert.deepEqual(
    examples.map(([, language]) => language),
    ['yaml', 'conf'],
  )
  const folder = mkdtempSync(join(tmpdir(), 'liftbridge-docs-'))
  try {
    for (const [, language, text] of examples) {
      writeFileSync(join(folder, 'example'), text ?? '')
      const loaded = loadConfig({ argv: ['-c', 'example'], env: {}, version: '1', cwd: folder })
      assert.ok(loaded.kind === 'config')
      assert.equal(loaded.warnings.length, language === 'conf' ? 3 : 0)
    }
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('the mistakes shown on the page are answered as it shows', () => {
  const shown = /```text\n(.*?)```/s.exec(page)?.[1]?.trim()
  const folder = mkdtempSync(join(tmpdir(), 'liftbridge-docs-'))
  try {
    const mistakes = 'port: 1\nstreams:\n  retention.max.age: 30\n  retention.max.byte: 5\n'
    writeFileSync(join(folder, 'liftbridge.yaml'), mistakes)
    const argv = ['-c', 'liftbridge.yaml']
    assert.throws(() => loadConfig({ argv, env: {}, version: '1', cwd: folder }), {
      message: shown ?? '',
    })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
