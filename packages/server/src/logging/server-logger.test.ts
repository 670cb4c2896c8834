import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import fc from 'fast-check'
import { silentLogger } from './logger.ts'
import { createLogger, type ServerLoggerOptions } from './server-logger.ts'

/** A logger whose lines and clock are in the hands of the test. */
function recorded(options: Partial<ServerLoggerOptions> = {}) {
  const lines: string[] = []
  const clock = { now: new Date(2019, 5, 28, 1, 12, 45) }
  const server = createLogger({
    level: 'info',
    format: 'text',
    terminal: false,
    write: (line) => void lines.push(line),
    now: () => clock.now,
    ...options,
  })
  return { server, logger: server.logger, lines, clock }
}

test('on a terminal a message looks as Liftbridge users know it', () => {
  const { logger, lines } = recorded({ terminal: true, colour: false })
  logger.info('Server ID:                 OoVo48CniWsjYzlgGtKLB6')
  logger.warn('slow', { stream: 'orders', partition: 3, reason: 'two words' })
  logger.error('bad')
  assert.deepEqual(lines, [
    'INFO[2019-06-28 01:12:45] Server ID:                 OoVo48CniWsjYzlgGtKLB6\n',
    `WARN[2019-06-28 01:12:45] ${'slow'.padEnd(44)} stream=orders partition=3 reason="two words"\n`,
    'ERRO[2019-06-28 01:12:45] bad\n',
  ])
})

test('colours mark the level on a terminal that wants them', () => {
  const { logger, lines } = recorded({ terminal: true, colour: true })
  logger.info('a')
  assert.deepEqual(lines, ['\u001b[36mINFO\u001b[0m[2019-06-28 01:12:45] a\n'])
})

test('elsewhere a message is a line of key=value pairs', () => {
  const { logger, lines } = recorded()
  logger.info('started "it"', { port: 9292, empty: '', path: '/a/b', list: [1, 'x'] })
  logger.warn('w')
  assert.deepEqual(lines, [
    'time="2019-06-28 01:12:45" level=info msg="started \\"it\\"" port=9292 empty="" path=/a/b ' +
      'list="[1,\\"x\\"]"\n',
    'time="2019-06-28 01:12:45" level=warning msg=w\n',
  ])
})

test('json writes one object per line', () => {
  const { logger, lines, clock } = recorded({ format: 'json' })
  logger.child({ stream: 'orders' }).info('started\n', { offset: 12n, level: 'mine' })
  assert.equal(lines.length, 1)
  assert.match(lines[0] ?? '', /^\{.*\}\n$/)
  assert.deepEqual(JSON.parse(lines[0] ?? ''), {
    level: 'info',
    time: clock.now.toISOString(),
    stream: 'orders',
    offset: '12',
    'fields.level': 'mine',
    msg: 'started\n',
  })
})

test('messages below the level are left out, and the level changes while running', () => {
  const { server, logger, lines } = recorded()
  const child = logger.child({ a: 1 })
  child.debug('1')
  server.setLevel('debug')
  child.debug('2')
  server.setLevel('error')
  logger.warn('3')
  logger.limited('k', 'warn', '4')
  logger.error('5')
  assert.deepEqual(
    lines.map((line) => /msg=(\d)/.exec(line)?.[1]),
    ['2', '5'],
  )
})

test('an error is logged with the texts of its causes', () => {
  const { logger, lines } = recorded()
  const cause = new Error('ENOSPC: no space left')
  logger.error('append', { error: new Error('write failed', { cause }) })
  assert.match(lines[0] ?? '', /error="write failed: ENOSPC: no space left"/)
})

test('user parts of URLs and secrets are masked wherever they stand [A6]', () => {
  const secret = 'hunter2'
  for (const format of ['text', 'json'] as const) {
    const { logger, lines } = recorded({ format })
    logger.info(`connecting to nats://me:${secret}@host:4222 and tls://${secret}@host`)
    logger.warn('failed', {
      url: `nats://me:${secret}@host`,
      password: secret,
      natsToken: secret,
      error: new Error(`dial nats://${secret}@host`),
      nested: { servers: [`nats://a:${secret}@b`], authorization: secret },
    })
    logger.child({ token: secret }).info('child')
    logger.limited('k', 'info', `nats://${secret}@host`)
    assert.equal(lines.length, 4)
    assert.doesNotMatch(lines.join(''), new RegExp(secret))
    assert.match(lines.join(''), /nats:\/\/\*\*\*@host:4222/)
  }
})

const hostile = fc.oneof(
  fc.string({ unit: 'binary-ascii' }),
  fc.array(fc.constantFrom('a', '\u0085', '\u009b2J', '\u2028', '\u001b[2J', '\r\n')).map(String),
)

test('what a peer sent cannot forge a second line or move the cursor', () => {
  for (const options of [{ terminal: true }, { terminal: false }, { format: 'json' as const }]) {
    const { logger, lines } = recorded({ ...options, colour: false })
    fc.assert(
      fc.property(hostile, hostile, (text, name) => {
        logger.info(text, { value: text, [`key.${name}`]: 1 })
        const [line = ''] = lines.splice(0)
        // eslint-disable-next-line no-control-regex -- control characters are what is looked for
        assert.match(line, /^[^\u0000-\u001f\u007f-\u009f]+\n$/)
      }),
    )
  }
})

test('no value makes the logger throw', () => {
  const loop: Record<string, unknown> = {}
  loop['self'] = loop
  const { logger, lines } = recorded({ format: 'json' })
  logger.info('odd', {
    loop,
    undefined,
    symbol: Symbol('s'),
    call: () => 1,
    bytes: new Uint8Array(5),
    nothing: null,
    nan: Number.NaN,
    long: 'x'.repeat(10_000),
  })
  const line: unknown = JSON.parse(lines[0] ?? '')
  assert.ok(typeof line === 'object' && line !== null && 'bytes' in line && 'long' in line)
  assert.equal(line.bytes, '5 bytes')
  assert.equal(String(line.long).length, 4096)
})

test('a flood of one kind is cut after five messages and counted', () => {
  const { logger, lines, clock } = recorded()
  const flood = (count: number) => {
    for (let i = 0; i < count; i++) logger.limited('bad-envelope', 'warn', 'bad envelope')
  }
  flood(1000)
  assert.equal(lines.length, 5)
  logger.limited('other', 'warn', 'another kind')
  assert.equal(lines.length, 6)
  clock.now = new Date(clock.now.getTime() + 10_000)
  flood(2)
  assert.equal(lines.length, 8)
  assert.match(lines[6] ?? '', /suppressed=995/)
  assert.doesNotMatch(lines[7] ?? '', /suppressed/)
})

test('a clock that steps back does not silence a message for ever', () => {
  const { logger, lines, clock } = recorded()
  for (let i = 0; i < 10; i++) logger.limited('k', 'warn', 'w')
  clock.now = new Date(clock.now.getTime() - 3_600_000)
  logger.limited('k', 'warn', 'w')
  assert.equal(lines.length, 6)
})

test('the silent logger takes everything and says nothing', () => {
  silentLogger.child({ a: 1 }).limited('k', 'error', 'x')
  assert.equal(silentLogger.child({}), silentLogger)
})

test('a process goes on when nobody reads its log any more', async () => {
  const script = `
    import { createLogger } from ${JSON.stringify(import.meta.resolve('./server-logger.ts'))}
    const { logger } = createLogger({ level: 'info', format: 'text' })
    logger.info('first')
    process.stdin.once('data', () => {
      logger.info('after the pipe was closed')
      setImmediate(() => setImmediate(() => process.exit(7)))
    })`
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script])
  await once(child.stderr, 'data')
  child.stderr.destroy()
  await once(child.stderr, 'close')
  child.stdin.write('go on\n')
  const [code] = (await once(child, 'exit')) as [number | null]
  assert.equal(code, 7)
})
