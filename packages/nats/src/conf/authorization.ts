import { fromPublic } from '@nats-io/nkeys'
import type { NatsAuth, NatsUser } from '../auth/authenticator.ts'
import {
  DEFAULT_RESPONSES,
  type NatsPermissions,
  type ResponseRules,
  type SubjectRules,
} from '../auth/permissions.ts'
import { isValidSubject } from '../routing/subject.ts'
import type { ConfValue } from './conf-value.ts'
import { given, Section, textList } from './section.ts'

/** The block `authorization` and `no_auth_user` beside it. */
export function readAuthorization(top: Section): NatsAuth | undefined {
  const noAuth = top.entry('no_auth_user')
  const noAuthUser = top.text('no_auth_user')
  const block = top.section('authorization')
  if (block === undefined) {
    if (noAuth !== undefined) top.problem(noAuth.place, NO_AUTH_USER)
    return undefined
  }
  const { section, place } = block
  const one = readOneUser(section)
  const token = section.text('token')
  const timeoutMs = section.durationMs('timeout')
  const byDefault = section.section('default_permissions', 'permissions')
  const permissions = byDefault && readPermissions(byDefault.section)
  const many = section.entry('users')
  const listed = many === undefined ? [] : readUsers(section, many.value, permissions)
  section.finish()
  const ways = [token, one, many].filter((way) => way !== undefined).length
  if (ways > 1) {
    section.problem(place, 'authorization takes one of token, user with password, and users')
  }
  const users = one === undefined ? listed : [one]
  if (noAuth !== undefined && !users.some((user) => 'user' in user && user.user === noAuthUser)) {
    top.problem(noAuth.place, NO_AUTH_USER)
  }
  return given({ token, users: users.length === 0 ? undefined : users, noAuthUser, timeoutMs })
}

const NO_AUTH_USER = 'no_auth_user must be one of authorization.users, by name'

function readOneUser(section: Section): NatsUser | undefined {
  const entry = section.entry('user', 'username')
  const user = section.text('user', 'username')
  const secret = section.entry('pass', 'password')
  const password = section.text('pass', 'password')
  if (entry === undefined && secret === undefined) return undefined
  if (user !== undefined && password !== undefined) return { user, password }
  const place = entry?.place ?? secret?.place
  if (place && (!entry || !secret)) section.problem(place, 'user and password belong together')
  return undefined
}

function readUsers(
  section: Section,
  value: ConfValue,
  byDefault: NatsPermissions | undefined,
): readonly NatsUser[] {
  if (value.kind !== 'list') {
    section.problem(value, 'authorization.users must be a list')
    return []
  }
  const names = new Set<string>()
  return value.value.flatMap((item) => {
    if (item.kind !== 'map') {
      section.problem(item, 'a user must be a block { … }')
      return []
    }
    const user = readUser(new Section('authorization.users', item.value, section.problems), item)
    if (user === undefined) return []
    const name = 'nkey' in user ? user.nkey : user.user
    if (names.has(name)) section.problem(item, `the user ${JSON.stringify(name)} is there twice`)
    names.add(name)
    return [user.permissions || !byDefault ? user : { ...user, permissions: byDefault }]
  })
}

function readUser(section: Section, place: ConfValue): NatsUser | undefined {
  const block = section.section('permissions', 'permission', 'authorization')
  const permissions = block && readPermissions(block.section)
  const more = given({ permissions })
  const nkey = section.text('nkey')
  const password = readOneUser(section)
  section.finish()
  if (nkey === undefined) {
    if (password === undefined) section.problem(place, 'a user needs user and password, or nkey')
    return password && { ...password, ...more }
  }
  if (password !== undefined) section.problem(place, 'a user has a password or an nkey, not both')
  if (!isUserKey(nkey)) section.problem(place, 'nkey must be the public key of a user (U…)')
  return { nkey, ...more }
}

function isUserKey(nkey: string): boolean {
  try {
    return nkey.startsWith('U') && fromPublic(nkey).getPublicKey() === nkey
  } catch {
    return false
  }
}

function readPermissions(section: Section): NatsPermissions {
  const publish = readRules(section, { what: 'publish', queues: false }, [
    'publish',
    'pub',
    'import',
  ])
  const subscribe = readRules(section, { what: 'subscribe', queues: true }, [
    'subscribe',
    'sub',
    'export',
  ])
  const responses = readResponses(section)
  section.finish()
  return given({ publish, subscribe, responses })
}

function readRules(
  section: Section,
  about: { readonly what: string; readonly queues: boolean },
  names: readonly string[],
): SubjectRules | undefined {
  const entry = section.entry(...names)
  if (entry === undefined) return undefined
  const { value } = entry
  if (value.kind !== 'map') return { allow: readSubjects(section, value, about) }
  const inner = new Section(`${section.name}.${about.what}`, value.value, section.problems)
  const allow = inner.entry('allow')
  const deny = inner.entry('deny')
  inner.finish()
  return given({
    allow: allow && readSubjects(section, allow.value, about),
    deny: deny && readSubjects(section, deny.value, about),
  })
}

function readSubjects(
  section: Section,
  value: ConfValue,
  { what, queues }: { readonly what: string; readonly queues: boolean },
): readonly string[] {
  return textList(section, value, what).map((text) => {
    const [subject = '', ...queue] = text.trim().split(/\s+/)
    if (!isValidSubject(subject) || queue.length > (queues ? 1 : 0)) {
      section.problem(value, `${JSON.stringify(text)} is no subject to ${what} to`)
    }
    return text
  })
}

function readResponses(section: Section): ResponseRules | undefined {
  const names = ['allow_responses', 'allow_response'] as const
  const entry = section.entry(...names)
  if (entry === undefined) return undefined
  if (entry.value.kind === 'boolean') return entry.value.value ? DEFAULT_RESPONSES : undefined
  const block = section.section(...names)
  if (block === undefined) return undefined
  const inner = block.section
  const maxMessages =
    inner.integer({ min: -1, max: 1e9 }, 'max', 'max_msgs', 'max_messages', 'max_responses') ?? 0
  const expiresMs = inner.durationMs('expires', 'expiration', 'ttl') ?? 0
  inner.finish()
  return {
    maxMessages: maxMessages === 0 ? DEFAULT_RESPONSES.maxMessages : maxMessages,
    expiresMs: expiresMs === 0 ? DEFAULT_RESPONSES.expiresMs : expiresMs,
  }
}
