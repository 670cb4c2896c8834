import { decodeText, encodeText } from '../text.ts'
import { WireError } from '../wire-error.ts'
import type { MsgpackReader } from './reader.ts'
import type { MsgpackWriter } from './writer.ts'

/** How a value stands in MessagePack. */
export interface Codec<Value> {
  /** What a missing key, or nil, stands for. */
  readonly zero: Value
  write(writer: MsgpackWriter, value: Value): void
  /** Throws WireError. */
  read(reader: MsgpackReader): Value
}

/** A Go `uint64` or smaller. */
export const unsigned: Codec<number> = {
  zero: 0,
  write: (writer, value) => writer.unsigned(value),
  read: (reader) => reader.unsigned(),
}

/** A Go `int` or `int64`. */
export const signed: Codec<number> = {
  zero: 0,
  write: (writer, value) => writer.signed(value),
  read: (reader) => reader.signed(),
}

export const boolean: Codec<boolean> = {
  zero: false,
  write: (writer, value) => writer.boolean(value),
  read: (reader) => reader.boolean(),
}

/** A Go `[]byte`. Our messages make no difference between nil and empty, so empty is nil. */
export const bytes: Codec<Uint8Array> = {
  zero: new Uint8Array(),
  write: (writer, value) => (value.length === 0 ? writer.nil() : writer.bytes(value)),
  read: (reader) => reader.bytes(),
}

/** Text that Go keeps as `[]byte`: server ids and addresses. Empty is nil. */
export const textBytes: Codec<string> = {
  zero: '',
  write: (writer, value) => (value === '' ? writer.nil() : writer.text(value)),
  read: (reader) => reader.text(),
}

/** A Go `string`. */
export const text: Codec<string> = {
  zero: '',
  write: (writer, value) => writer.text(value),
  read: (reader) => reader.text(),
}

/** A slice of at most `countMax` values. Elements must not be nil: Go would meet a nil pointer. */
export function arrayOf<Value>(element: Codec<Value>, countMax: number): Codec<readonly Value[]> {
  return {
    zero: [],
    write: (writer, values) => {
      writer.array(values.length)
      for (const value of values) element.write(writer, value)
    },
    read: (reader) => {
      const count = reader.array()
      if (count > countMax) throw new WireError('too-large', `more than ${countMax} elements`)
      const values: Value[] = []
      for (let index = 0; index < count; index++) {
        if (reader.takeNil()) throw new WireError('malformed', 'an element that is nil')
        values.push(element.read(reader))
      }
      return values
    },
  }
}

/** Name of the Go field, and how its value stands. */
export type Field<Value> = readonly [name: string, codec: Codec<Value>]

/**
 * A Go struct: a map with the names of its fields as keys, in bytewise order when written. When
 * read, in any order, with unknown keys passed over and missing ones zero; an array instead of a
 * map holds the fields in the order in which Go declares them, which is that of `fields`.
 */
export function struct<Value extends object>(fields: {
  readonly [Name in keyof Value]: Field<Value[Name]>
}): Codec<Value> {
  // The value of a property is of the type of its codec: that is what the type of `fields` says.
  const untyped = fields as Readonly<Record<string, Field<unknown>>>
  const declared: BoundField[] = Object.entries(untyped).map(([property, [name, codec]]) => ({
    property,
    name,
    key: encodeText(name),
    codec,
  }))
  const sorted = declared.toSorted((a, b) => (a.name < b.name ? -1 : 1))
  const byName = new Map(declared.map((field) => [field.name, field]))
  const zero = (): Record<string, unknown> =>
    Object.fromEntries(declared.map(({ property, codec }) => [property, codec.zero]))
  return {
    zero: zero() as Value,
    write: (writer, value) => {
      const values = value as Record<string, unknown>
      writer.map(sorted.length)
      for (const { property, key, codec } of sorted) {
        writer.bytes(key)
        codec.write(writer, values[property])
      }
    },
    read: (reader) => {
      const values = zero()
      if (reader.isArray()) readDeclared(reader, declared, values)
      else readNamed(reader, byName, values)
      return values as Value
    },
  }
}

type BoundField = {
  readonly property: string
  readonly name: string
  readonly key: Uint8Array
  readonly codec: Codec<unknown>
}

function readNamed(
  reader: MsgpackReader,
  byName: ReadonlyMap<string, BoundField>,
  values: Record<string, unknown>,
): void {
  const count = reader.map()
  for (let index = 0; index < count; index++) {
    const field = byName.get(decodeText(reader.bytes()))
    if (field === undefined) reader.skip()
    else values[field.property] = reader.takeNil() ? field.codec.zero : field.codec.read(reader)
  }
}

function readDeclared(
  reader: MsgpackReader,
  declared: readonly BoundField[],
  values: Record<string, unknown>,
): void {
  const count = reader.array()
  for (let index = 0; index < count; index++) {
    const field = declared[index]
    if (field === undefined) reader.skip()
    else values[field.property] = reader.takeNil() ? field.codec.zero : field.codec.read(reader)
  }
}
