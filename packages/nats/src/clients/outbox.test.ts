import assert from 'node:assert/strict'
import { Socket } from 'node:net'
import { test } from 'node:test'
import { Outbox, OutboxShared } from './outbox.ts'

/** Takes what is written to it when it is told to. */
class Peer extends Socket {
  readonly writes: Buffer[] = []
  done: () => void = () => undefined

  override _write(bytes: Buffer, _encoding: string, done: () => void): void {
    this.writes.push(bytes)
    this.done = done
  }

  override _writev(pieces: { chunk: Buffer }[], done: () => void): void {
    this._write(Buffer.concat(pieces.map(({ chunk }) => chunk)), '', done)
  }
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('a thousand small texts of one turn are one write', async () => {
  const peer = new Peer()
  const outbox = new Outbox(peer, new OutboxShared(), () => undefined)
  for (let i = 0; i < 1000; i++) outbox.writeText(`${i}\r\n`)
  assert.equal(peer.writes.length, 0)
  await turn()
  const wanted = Array.from({ length: 1000 }, (_, i) => `${i}\r\n`).join('')
  assert.deepEqual(
    peer.writes.map((bytes) => bytes.toString()),
    [wanted],
  )
  assert.equal(outbox.pendingBytes, wanted.length)
  peer.done()
  await turn()
  assert.equal(outbox.pendingBytes, 0)
})

test('nothing is written while the peer is busy with the write before', async () => {
  const peer = new Peer()
  const outbox = new Outbox(peer, new OutboxShared(), () => undefined)
  outbox.writeText('one')
  await turn()
  outbox.writeText('two')
  await turn()
  outbox.writeText('three')
  await turn()
  assert.equal(peer.writes.length, 1)
  peer.done()
  await turn()
  assert.deepEqual(
    peer.writes.map((bytes) => bytes.toString()),
    ['one', 'twothree'],
  )
})
