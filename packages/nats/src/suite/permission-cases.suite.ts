import { login, type CaseGroup } from './login-cases.suite.ts'

const noPublish = (subject: string): string =>
  `-ERR 'Permissions Violation for Publish to "${subject}"'\r\n`
const noSubscribe = (subject: string, queue?: string): string =>
  `-ERR 'Permissions Violation for Subscription to "${subject}"${queue === undefined ? '' : ` using queue "${queue}"`}'\r\n`
const as = (user: string): string => login({ user, pass: 'x' })
const loudly = (user: string): string => login({ user, pass: 'x', verbose: true })
const pub = (subject: string, reply = ''): string =>
  `PUB ${subject} ${reply === '' ? '' : `${reply} `}0\r\n\r\n`

const USERS: CaseGroup = {
  title: 'permissions',
  conf: `authorization {
    default_permissions { publish: "dflt.>", subscribe: "dflt.>" }
    users = [
      {user: both, password: x, permissions: {
        publish: {allow: ["foo.*", bar], deny: "foo.no"}
        subscribe: {allow: ["foo.*", "_INBOX.>"], deny: "foo.no"} } }
      {user: denied, password: x, permissions: { publish: {deny: ["s.no", "t.>"]}, subscribe: {deny: ["s.no", "t.*.x"]} } }
      {user: queues, password: x, permissions: { subscribe: {allow: ["q.a", "q.a v1", "q.b *.w"], deny: "q.a bad"} } }
      {user: closed, password: x, permissions: { publish: {deny: ">"}, subscribe: {deny: ">"} } }
      {user: empty, password: x, permissions: { publish: [], subscribe: {allow: []} } }
      {user: plain, password: x}
    ] }`,
  cases: [
    {
      name: 'one may publish to what is allowed',
      send: `${loudly('both')}${pub('foo.a')}${pub('bar')}`,
      answer: '+OK\r\n+OK\r\n+OK\r\n',
    },
    {
      name: 'and to nothing else, without +OK',
      send: `${loudly('both')}${pub('foo')}${pub('baz')}`,
      answer: `+OK\r\n${noPublish('foo')}${noPublish('baz')}`,
    },
    {
      name: 'deny wins over allow',
      send: `${as('both')}${pub('foo.no')}`,
      answer: noPublish('foo.no'),
    },
    {
      name: '* allows one token',
      send: `${as('both')}${pub('foo.a.b')}`,
      answer: noPublish('foo.a.b'),
    },
    {
      name: 'publishing with a reply to a forbidden subject has no 503',
      send: `${as('both')}SUB _INBOX.1 1\r\n${pub('baz', '_INBOX.1')}PING\r\n`,
      answer: `${noPublish('baz')}PONG\r\n`,
    },
    {
      name: 'headers do not help',
      send: `${as('both')}HPUB baz 12 12\r\nNATS/1.0\r\n\r\n\r\n`,
      answer: noPublish('baz'),
    },
    {
      name: 'what is forbidden reaches nobody',
      send: `${as('denied')}SUB > 1\r\n${pub('t.a')}${pub('u.a')}PING\r\n`,
      answer: `${noPublish('t.a')}MSG u.a 1 0\r\n\r\nPONG\r\n`,
    },
    {
      name: 'one may subscribe to what is allowed',
      send: `${loudly('both')}SUB foo.a 1\r\nSUB foo.* 2\r\nSUB foo.* q 3\r\n`,
      answer: '+OK\r\n+OK\r\n+OK\r\n+OK\r\n',
    },
    {
      name: 'and to nothing else, without +OK',
      send: `${loudly('both')}SUB bar 1\r\nSUB foo 2\r\nSUB > 3\r\nSUB * 4\r\nSUB *.a 5\r\n`,
      answer: `+OK\r\n${noSubscribe('bar')}${noSubscribe('foo')}${noSubscribe('>')}${noSubscribe('*')}${noSubscribe('*.a')}`,
    },
    {
      name: 'in a queue group neither',
      send: `${as('both')}SUB bar q 1\r\n`,
      answer: noSubscribe('bar', 'q'),
    },
    {
      name: 'deny wins over allow when subscribing',
      send: `${as('both')}SUB foo.no 1\r\n`,
      answer: noSubscribe('foo.no'),
    },
    {
      name: 'a > is not within a *',
      send: `${loudly('both')}SUB foo.> 1\r\n`,
      // nats-server 2.9 lets a subject of three tokens through here.
      answer: '+OK\r\n+OK\r\n',
      ours: { answer: `+OK\r\n${noSubscribe('foo.>')}` },
    },
    {
      name: 'a wildcard around what is denied stands, without those messages',
      send: `${as('denied')}SUB s.* 1\r\n`,
      answer: '',
    },
    {
      name: 'what is denied itself does not',
      send: `${as('denied')}SUB s.no 1\r\nSUB t.a.x 2\r\n`,
      answer: noSubscribe('s.no') + noSubscribe('t.a.x'),
    },
    {
      name: 'a refused subscription gets nothing and its sid is free',
      send: `${as('denied')}SUB s.no 1\r\nSUB s.yes 1\r\n${pub('s.yes')}PING\r\n`,
      answer: `${noSubscribe('s.no')}MSG s.yes 1 0\r\n\r\nPONG\r\n`,
    },
    {
      name: 'rules about queue groups decide about those',
      send: `${loudly('queues')}SUB q.a 1\r\nSUB q.a v1 2\r\nSUB q.a v2 3\r\n`,
      answer: `+OK\r\n+OK\r\n+OK\r\n${noSubscribe('q.a', 'v2')}`,
    },
    {
      name: 'a rule about groups alone allows no plain subscription',
      send: `${loudly('queues')}SUB q.b 1\r\nSUB q.b a.w 2\r\nSUB q.b w 3\r\n`,
      answer: `+OK\r\n${noSubscribe('q.b')}+OK\r\n${noSubscribe('q.b', 'w')}`,
    },
    {
      name: 'a denied group is refused',
      send: `${as('queues')}SUB q.a bad 1\r\n`,
      answer: noSubscribe('q.a', 'bad'),
    },
    {
      name: 'everything may be denied',
      send: `${as('closed')}${pub('a')}SUB a 1\r\n`,
      answer: noPublish('a') + noSubscribe('a'),
    },
    {
      name: 'an empty list allows all',
      send: `${loudly('empty')}${pub('a')}SUB a 1\r\n`,
      answer: '+OK\r\n+OK\r\n+OK\r\n',
    },
    {
      name: 'a user without permissions has the default ones',
      send: `${as('plain')}${pub('a')}SUB b 1\r\n${pub('dflt.a')}SUB dflt.> 1\r\n`,
      answer: noPublish('a') + noSubscribe('b'),
    },
    {
      name: 'quotes in a subject are escaped',
      send: `${as('both')}${pub('a"b\\c')}`,
      answer: noPublish('a\\"b\\\\c'),
    },
    {
      name: 'PING is always allowed',
      send: `${as('closed')}PING\r\n`,
      answer: 'PONG\r\n',
    },
    {
      name: 'a second CONNECT brings its own permissions',
      send: `${as('denied')}${as('both')}${pub('zzz')}`,
      answer: noPublish('zzz'),
    },
    {
      name: 'what the new user may not read ends',
      send: `${as('denied')}SUB zzz 1\r\n${as('both')}${as('denied')}${pub('zzz')}PING\r\n`,
      // nats-server keeps the subscription.
      answer: 'MSG zzz 1 0\r\n\r\nPONG\r\n',
      ours: { answer: `${noSubscribe('zzz')}PONG\r\n` },
    },
  ],
}

/** Two connections: `svc` may only answer. */
export const RESPONSES_CONF = `authorization { users = [
  {user: once, password: x, permissions: {subscribe: "svc.once", allow_responses: true}}
  {user: twice, password: x, permissions: {subscribe: "svc.twice", allow_responses: {max: 2}}}
  {user: brief, password: x, permissions: {subscribe: "svc.brief", allow_responses: {max: -1, expires: "1ms"}}}
  {user: also, password: x, permissions: {publish: "log", subscribe: "svc.also", allow_responses: true}}
  {user: deaf, password: x, permissions: {subscribe: {deny: ["s.no", "t.*.x"]}}}
  {user: asker, password: x}
] }`

export const PERMISSION_GROUPS: readonly CaseGroup[] = [USERS]
