import { BAD_SUBJECT, UNKNOWN, type ProtocolCase } from './protocol-case.suite.ts'
import { QUIET, VERBOSE } from './raw-client.suite.ts'

const CONNECTING: readonly ProtocolCase[] = [
  { name: 'PING is answered before CONNECT', send: 'PING\r\n', answer: 'PONG\r\n' },
  { name: 'a line may end in LF alone', send: 'PING\n', answer: 'PONG\r\n' },
  { name: 'names of commands have no case', send: 'pInG\r\n', answer: 'PONG\r\n' },
  { name: 'what follows PING is ignored', send: 'PING   xx\r\n', answer: 'PONG\r\n' },
  { name: 'PONG without a PING is harmless', send: 'PONG\r\nPING\r\n', answer: 'PONG\r\n' },
  { name: '+OK of a client is ignored', send: `${QUIET}+OK\r\nPING\r\n`, answer: 'PONG\r\n' },
  { name: 'INFO of a client is ignored', send: `${QUIET}INFO {}\r\nPING\r\n`, answer: 'PONG\r\n' },
  { name: '-ERR of a client ends it', send: `${QUIET}-ERR 'x'\r\n`, answer: '', closed: true },
  { name: 'a verbose CONNECT is confirmed', send: VERBOSE, answer: '+OK\r\n' },
  { name: 'CONNECT is verbose by default', send: 'CONNECT {}\r\n', answer: '+OK\r\n' },
  { name: 'CONNECT needs no blank', send: 'CONNECT{}\r\n', answer: '+OK\r\n' },
  { name: 'CONNECT null changes nothing', send: 'CONNECT null\r\n', answer: '+OK\r\n' },
  { name: 'a quiet CONNECT is not confirmed', send: `${QUIET}PING\r\n`, answer: 'PONG\r\n' },
  { name: 'a second CONNECT changes the options', send: QUIET + VERBOSE, answer: '+OK\r\n' },
  { name: 'CONNECT without JSON ends it', send: 'CONNECT \r\n', answer: '', closed: true },
  { name: 'CONNECT with no JSON ends it', send: 'CONNECT foo\r\n', answer: '', closed: true },
  { name: 'CONNECT with an array ends it', send: 'CONNECT []\r\n', answer: '', closed: true },
  {
    name: 'a field of the wrong type in CONNECT ends it',
    send: 'CONNECT {"verbose":"x"}\r\n',
    answer: '',
    closed: true,
  },
  {
    name: 'an unknown protocol version is refused',
    send: 'CONNECT {"protocol":2,"verbose":false}\r\n',
    answer: "-ERR 'invalid client protocol'\r\n",
    closed: true,
  },
  {
    name: 'no_responders needs headers',
    send: 'CONNECT {"no_responders":true,"verbose":false}\r\n',
    answer: "-ERR 'no responders requires headers support'\r\n",
    closed: true,
  },
  { name: 'an empty line is refused', send: '\r\n', answer: UNKNOWN, closed: true },
  { name: 'an unknown command is refused', send: 'FOO\r\n', answer: UNKNOWN, closed: true },
  { name: 'garbage is refused at its first byte', send: 'F', answer: UNKNOWN, closed: true },
  { name: 'PUBX is refused before the line ends', send: 'PUBX', answer: UNKNOWN, closed: true },
  { name: 'a CR inside a name is refused', send: 'PI\rNG\r\n', answer: UNKNOWN, closed: true },
  { name: 'a misspelt PING is refused', send: 'PIXG\r\n', answer: UNKNOWN, closed: true },
  { name: 'MSG is not a command of clients', send: 'MSG a 1 0\r\n', answer: UNKNOWN, closed: true },
  { name: 'HMSG is not a command of clients', send: 'HMSG a\r\n', answer: UNKNOWN, closed: true },
  { name: 'RS+ is not a command of clients', send: 'RS+ a b\r\n', answer: UNKNOWN, closed: true },
  { name: 'PUB without arguments is refused', send: 'PUB\r\n', answer: UNKNOWN, closed: true },
  { name: 'SUB without arguments is refused', send: 'SUB\r\n', answer: UNKNOWN, closed: true },
]

const SUBSCRIBING: readonly ProtocolCase[] = [
  {
    name: 'before CONNECT a client is verbose and gets its own messages',
    send: 'SUB a 1\r\nPUB a 1\r\nx\r\n',
    answer: '+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n',
  },
  {
    name: 'each command of a verbose client is confirmed',
    send: `${VERBOSE}SUB a 1\r\nPUB a 1\r\nx\r\nUNSUB 1\r\nUNSUB 9\r\n`,
    answer: '+OK\r\n+OK\r\n+OK\r\nMSG a 1 1\r\nx\r\n+OK\r\n+OK\r\n',
  },
  {
    name: 'with echo off a client does not get its own messages',
    send: 'CONNECT {"echo":false,"verbose":false}\r\nSUB a 1\r\nPUB a 1\r\nx\r\nPING\r\n',
    answer: 'PONG\r\n',
  },
  {
    name: 'nor through its own queue group',
    send: 'CONNECT {"echo":false,"verbose":false}\r\nSUB a q 1\r\nPUB a 1\r\nx\r\nPING\r\n',
    answer: 'PONG\r\n',
  },
  ...['a..b', '.a', 'a.', '>.a', 'a.>.b', '.', 'a..'].map((subject) => ({
    name: `a subscription to ${subject} is refused, the client stays`,
    send: `${QUIET}SUB ${subject} 1\r\nPING\r\n`,
    answer: `${BAD_SUBJECT}PONG\r\n`,
  })),
  {
    name: 'a refused subscription is not confirmed',
    send: `${VERBOSE}SUB a..b 1\r\n`,
    answer: `+OK\r\n${BAD_SUBJECT}`,
  },
  {
    name: '> and * inside a token are letters',
    send: `${QUIET}SUB a> 1\r\nSUB *a 2\r\nPUB a> 0\r\n\r\nPUB *a 0\r\n\r\n`,
    answer: 'MSG a> 1 0\r\n\r\nMSG *a 2 0\r\n\r\n',
  },
  { name: 'SUB needs a subject and a sid', send: `${QUIET}SUB a\r\n`, answer: '', closed: true },
  { name: 'SUB takes three arguments', send: `${QUIET}SUB a b c d\r\n`, answer: '', closed: true },
  { name: 'SUB with a blank only ends it', send: `${QUIET}SUB \r\n`, answer: '', closed: true },
  {
    name: 'arguments may be separated by several blanks and tabs',
    send: `${QUIET}SUB\ta\t \t1 \r\nPUB   a   2  \r\nhi\r\n`,
    answer: 'MSG a 1 2\r\nhi\r\n',
  },
  {
    name: 'a sid in use is not given to another subject',
    send: `${QUIET}SUB a 1\r\nSUB b 1\r\nPUB a 1\r\nx\r\nPUB b 1\r\ny\r\nPING\r\n`,
    answer: 'MSG a 1 1\r\nx\r\nPONG\r\n',
  },
  {
    name: 'a sid may be any word',
    send: `${QUIET}SUB a not-a-number\r\nPUB a 1\r\nx\r\n`,
    answer: 'MSG a not-a-number 1\r\nx\r\n',
  },
  {
    name: 'each matching subscription of a client gets the message',
    send: `${QUIET}SUB a.b 1\r\nPUB a.b 1\r\nx\r\nUNSUB 1\r\nSUB a.* 2\r\nPUB a.b 1\r\ny\r\nUNSUB 2\r\nSUB > 3\r\nPUB a.b 1\r\nz\r\n`,
    answer: 'MSG a.b 1 1\r\nx\r\nMSG a.b 2 1\r\ny\r\nMSG a.b 3 1\r\nz\r\n',
  },
  {
    name: '* matches one token, > one or more',
    send: `${QUIET}SUB a.* 1\r\nSUB b.> 2\r\nPUB a 0\r\n\r\nPUB a.x 0\r\n\r\nPUB a.x.y 0\r\n\r\nPUB b 0\r\n\r\nPUB b.x.y 0\r\n\r\nPING\r\n`,
    answer: 'MSG a.x 1 0\r\n\r\nMSG b.x.y 2 0\r\n\r\nPONG\r\n',
  },
  {
    name: '* in the middle matches one token',
    send: `${QUIET}SUB a.*.c 1\r\nPUB a.b.c 0\r\n\r\nPUB a.c 0\r\n\r\nPUB a.b.c.d 0\r\n\r\nPING\r\n`,
    answer: 'MSG a.b.c 1 0\r\n\r\nPONG\r\n',
  },
  {
    name: 'subjects are case-sensitive',
    send: `${QUIET}SUB a 1\r\nPUB A 0\r\n\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
  {
    name: 'subjects may hold bytes outside ASCII',
    send: `${QUIET}SUB \xc3\xa9.\xff 1\r\nPUB \xc3\xa9.\xff 1\r\nx\r\n`,
    answer: 'MSG \xc3\xa9.\xff 1 1\r\nx\r\n',
  },
  {
    name: 'a CR inside a subject is refused',
    send: `${QUIET}SUB a\rb 1\r\nPING\r\n`,
    // nats-server takes the CR for a blank.
    answer: 'PONG\r\n',
    ours: { answer: `${BAD_SUBJECT}PONG\r\n` },
  },
]

const UNSUBSCRIBING: readonly ProtocolCase[] = [
  {
    name: 'UNSUB ends a subscription at once',
    send: `${QUIET}SUB a 1\r\nUNSUB   1  \r\nPUB a 0\r\n\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
  {
    name: 'UNSUB with a count ends it after so many messages',
    send: `${QUIET}SUB a 1\r\nUNSUB 1 2\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\nPUB a 1\r\n3\r\nPING\r\n`,
    answer: 'MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\nPONG\r\n',
  },
  {
    name: 'messages before UNSUB with a count count',
    send: `${QUIET}SUB a 1\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\nUNSUB 1 2\r\nPUB a 1\r\n3\r\nPING\r\n`,
    answer: 'MSG a 1 1\r\n1\r\nMSG a 1 1\r\n2\r\nPONG\r\n',
  },
  {
    name: 'a later count takes the place of the earlier one',
    send: `${QUIET}SUB a 1\r\nUNSUB 1 1\r\nUNSUB 1 2\r\nPUB a 0\r\n\r\nPUB a 0\r\n\r\nPUB a 0\r\n\r\nPING\r\n`,
    answer: 'MSG a 1 0\r\n\r\nMSG a 1 0\r\n\r\nPONG\r\n',
  },
  {
    name: 'a sid is free again after its subscription ended',
    send: `${QUIET}SUB a 1\r\nUNSUB 1\r\nSUB b 1\r\nPUB a 0\r\n\r\nPUB b 0\r\n\r\n`,
    answer: 'MSG b 1 0\r\n\r\n',
  },
  {
    name: 'a sid is free again after its count ran out',
    send: `${QUIET}SUB a 1\r\nUNSUB 1 1\r\nPUB a 0\r\n\r\nSUB b 1\r\nPUB b 0\r\n\r\n`,
    answer: 'MSG a 1 0\r\n\r\nMSG b 1 0\r\n\r\n',
  },
  ...['0', '-1', 'x', '9999999999'].map((max) => ({
    name: `UNSUB with the count ${max} ends it at once`,
    send: `${QUIET}SUB a 1\r\nUNSUB 1 ${max}\r\nPUB a 1\r\nx\r\nPING\r\n`,
    answer: 'PONG\r\n',
  })),
  {
    name: 'UNSUB of an unknown sid is ignored',
    send: `${QUIET}UNSUB 9\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
  { name: 'UNSUB needs a sid', send: `${QUIET}UNSUB \r\n`, answer: '', closed: true },
  { name: 'UNSUB takes two arguments', send: `${QUIET}UNSUB 1 2 3\r\n`, answer: '', closed: true },
]

/** Connecting, subscribing, unsubscribing. */
export const SESSION_CASES: readonly ProtocolCase[] = [
  ...CONNECTING,
  ...SUBSCRIBING,
  ...UNSUBSCRIBING,
]
