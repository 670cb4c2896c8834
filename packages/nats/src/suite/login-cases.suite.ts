import type { ProtocolCase } from './protocol-case.suite.ts'

/** Conversations with servers of one configuration. */
export interface CaseGroup {
  readonly title: string
  readonly conf: string
  readonly cases: readonly ProtocolCase[]
}

export const VIOLATION = "-ERR 'Authorization Violation'\r\n"
const REFUSED = { answer: VIOLATION, closed: true } as const

export function login(fields: Readonly<Record<string, unknown>>): string {
  return `CONNECT ${JSON.stringify({ verbose: false, headers: true, no_responders: true, ...fields })}\r\n`
}

/** bcrypt, cost 4: `pass`. */
export const BCRYPT = '$2b$04$DOSmjEE6/1ZiZl0Mi4lwzufI8Wd7XnAm1CoidVNN0YqGCoBLJ4jxS'

const TOKEN: CaseGroup = {
  title: 'a token',
  conf: 'authorization { token: "t0k" }',
  cases: [
    {
      name: 'the token lets in',
      send: `${login({ auth_token: 't0k' })}PING\r\n`,
      answer: 'PONG\r\n',
    },
    { name: 'another token does not', send: login({ auth_token: 't0k2' }), ...REFUSED },
    { name: 'an empty token does not', send: login({ auth_token: '' }), ...REFUSED },
    { name: 'no token does not', send: login({}), ...REFUSED },
    { name: 'the token as a user does not', send: login({ user: 't0k' }), ...REFUSED },
    {
      name: 'the token as a password does not',
      send: login({ user: 'a', pass: 't0k' }),
      ...REFUSED,
    },
    { name: 'PING before CONNECT is refused', send: 'PING\r\n', ...REFUSED },
    { name: 'SUB before CONNECT is refused', send: 'SUB a 1\r\n', ...REFUSED },
    { name: 'PUB before CONNECT is refused', send: 'PUB a 0\r\n\r\n', ...REFUSED },
    { name: 'PONG before CONNECT is refused', send: 'PONG\r\n', ...REFUSED },
    { name: 'UNSUB before CONNECT is refused', send: 'UNSUB 1\r\n', ...REFUSED },
    { name: 'garbage before CONNECT is refused', send: 'FOO\r\n', ...REFUSED },
    {
      name: 'garbage that begins like CONNECT is garbage',
      send: 'CXX\r\n',
      answer: "-ERR 'Unknown Protocol Operation'\r\n",
      closed: true,
      // Strangers get one answer.
      ours: REFUSED,
    },
    {
      name: 'what follows a refused CONNECT is not carried out',
      send: `${login({ auth_token: 'x' })}SUB a 1\r\nPUB a 0\r\n\r\n`,
      ...REFUSED,
    },
    {
      name: 'a verbose client that is let in is told so',
      send: login({ auth_token: 't0k', verbose: true }),
      answer: '+OK\r\n',
    },
    {
      name: 'a token of the wrong type ends it',
      send: 'CONNECT {"auth_token":1}\r\n',
      answer: '',
      closed: true,
    },
  ],
}

const PASSWORDS: CaseGroup = {
  title: 'users with passwords',
  conf: `authorization { users = [ {user: ann, password: "p w"}, {user: bob, password: "${BCRYPT}"} ] }`,
  cases: [
    {
      name: 'a password lets in',
      send: `${login({ user: 'ann', pass: 'p w' })}PING\r\n`,
      answer: 'PONG\r\n',
    },
    {
      name: 'a password of another length does not',
      send: login({ user: 'ann', pass: 'p' }),
      ...REFUSED,
    },
    { name: 'no password does not', send: login({ user: 'ann' }), ...REFUSED },
    { name: 'another case does not', send: login({ user: 'Ann', pass: 'p w' }), ...REFUSED },
    { name: 'an unknown user does not', send: login({ user: 'eve', pass: 'p w' }), ...REFUSED },
    { name: 'nobody does not', send: login({}), ...REFUSED },
    {
      name: 'a name from JavaScript does not',
      send: login({ user: '__proto__', pass: '' }),
      ...REFUSED,
    },
    { name: 'a token does not', send: login({ auth_token: 'p w' }), ...REFUSED },
    {
      name: 'an nkey that nobody has does not',
      send: login({ nkey: 'UABC', sig: 'x' }),
      ...REFUSED,
    },
    {
      name: 'what bcrypt remembers lets in, and what came behind waits for it',
      send: `${login({ user: 'bob', pass: 'pass' })}SUB a 1\r\nPUB a 2\r\nhi\r\n`,
      answer: 'MSG a 1 2\r\nhi\r\n',
    },
    { name: 'another password does not', send: login({ user: 'bob', pass: 'pasS' }), ...REFUSED },
    { name: 'the hash itself does not', send: login({ user: 'bob', pass: BCRYPT }), ...REFUSED },
    {
      name: 'what follows a password that bcrypt refuses is not carried out',
      send: `${login({ user: 'bob', pass: 'x', verbose: true })}SUB a 1\r\nPING\r\n`,
      ...REFUSED,
    },
    {
      name: 'a second CONNECT may change the user',
      send: `${login({ user: 'ann', pass: 'p w' })}${login({ user: 'bob', pass: 'pass' })}PING\r\n`,
      answer: 'PONG\r\n',
    },
    {
      name: 'a second CONNECT is checked too',
      send: `${login({ user: 'ann', pass: 'p w' })}${login({ user: 'bob', pass: 'no' })}PING\r\n`,
      ...REFUSED,
    },
  ],
}

const ONE_USER: CaseGroup = {
  title: 'one user, with a bcrypt hash',
  conf: `authorization { user: ann, password: "${BCRYPT}" }`,
  cases: [
    {
      name: 'the password lets in',
      send: `${login({ user: 'ann', pass: 'pass' })}PING\r\n`,
      answer: 'PONG\r\n',
    },
    { name: 'another does not', send: login({ user: 'ann', pass: 'p' }), ...REFUSED },
  ],
}

const NO_AUTH_USER: CaseGroup = {
  title: 'a user for those who do not say',
  conf: `no_auth_user: guest
    authorization { users = [
      {user: guest, password: g, permissions: {publish: "open.>"}}
      {user: ann, password: a} ] }`,
  cases: [
    {
      name: 'a client may leave out CONNECT',
      send: 'PING\r\nPUB closed 0\r\n\r\nPUB open.a 0\r\n\r\n',
      answer: `PONG\r\n-ERR 'Permissions Violation for Publish to "closed"'\r\n+OK\r\n`,
    },
    {
      name: 'CONNECT without credentials is the guest',
      send: `${login({})}PUB closed 0\r\n\r\nPING\r\n`,
      answer: `-ERR 'Permissions Violation for Publish to "closed"'\r\nPONG\r\n`,
    },
    { name: 'wrong credentials are no guest', send: login({ user: 'ann', pass: 'g' }), ...REFUSED },
    { name: 'a wrong token is no guest', send: login({ auth_token: 'x' }), ...REFUSED },
    {
      name: 'right credentials are no guest either',
      send: `${login({ user: 'ann', pass: 'a' })}PUB closed 0\r\n\r\nPING\r\n`,
      answer: 'PONG\r\n',
    },
    {
      name: 'the guest may log in by name',
      send: `${login({ user: 'guest', pass: 'g' })}PING\r\n`,
      answer: 'PONG\r\n',
    },
  ],
}

export const LOGIN_GROUPS: readonly CaseGroup[] = [TOKEN, PASSWORDS, ONE_USER, NO_AUTH_USER]
