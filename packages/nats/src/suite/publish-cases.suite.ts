import {
  BAD_TARGET,
  HEADER,
  long,
  PEDANTIC,
  TOO_LARGE,
  TOO_LONG,
  UNKNOWN,
  type ProtocolCase,
} from './protocol-case.suite.ts'
import { PLAIN, QUIET } from './raw-client.suite.ts'

const PUBLISHING: readonly ProtocolCase[] = [
  {
    name: 'an empty message is a message',
    send: `${QUIET}SUB a 1\r\nPUB a 0\r\n\r\n`,
    answer: 'MSG a 1 0\r\n\r\n',
  },
  {
    name: 'the reply subject is handed on',
    send: `${QUIET}SUB a 1\r\nPUB a r.s 1\r\nx\r\n`,
    answer: 'MSG a 1 r.s 1\r\nx\r\n',
  },
  {
    name: 'a payload may hold line ends and commands',
    send: `${QUIET}SUB a 1\r\nPUB a 12\r\nPING\r\nPING\r\n\r\n`,
    answer: 'MSG a 1 12\r\nPING\r\nPING\r\n\r\n',
  },
  {
    name: 'a payload may hold any byte',
    send: `${QUIET}SUB a 1\r\nPUB a 4\r\n\x00\xff\n\r\r\n`,
    answer: 'MSG a 1 4\r\n\x00\xff\n\r\r\n',
  },
  {
    name: 'leading zeros in a size are fine up to nine digits',
    send: `${QUIET}SUB a 1\r\nPUB a 000000001\r\nx\r\n`,
    // nats-server hands the text of the size on.
    answer: 'MSG a 1 000000001\r\nx\r\n',
    ours: { answer: 'MSG a 1 1\r\nx\r\n' },
  },
  ...['x', '-1', '+1', '1.0', '0000000001', '99999999999999', '1x'].map((size) => ({
    name: `the size ${size} ends the connection`,
    send: `${QUIET}PUB a ${size}\r\nx\r\n`,
    answer: '',
    closed: true as const,
  })),
  { name: 'PUB needs a size', send: `${QUIET}PUB a\r\n`, answer: '', closed: true },
  { name: 'PUB takes three arguments', send: `${QUIET}PUB a b c 1\r\n`, answer: '', closed: true },
  {
    name: 'one byte over max_payload',
    send: `${QUIET}PUB a 1048577\r\n`,
    answer: TOO_LARGE,
    closed: true,
  },
  {
    name: 'far over max_payload',
    send: `${QUIET}PUB a 999999999\r\n`,
    answer: TOO_LARGE,
    closed: true,
  },
  {
    name: 'headers count towards max_payload',
    send: `${QUIET}HPUB a 12 1048577\r\n`,
    answer: TOO_LARGE,
    closed: true,
  },
  {
    name: 'a payload longer than announced is refused',
    send: `${QUIET}PUB a 1\r\nxx\r\n`,
    answer: UNKNOWN,
    closed: true,
  },
  {
    name: 'a payload shorter than announced is refused',
    send: `${QUIET}PUB a 3\r\nx\r\nPING\r\n`,
    answer: UNKNOWN,
    closed: true,
  },
  {
    name: 'a payload must end in CR LF',
    send: `${QUIET}PUB a 1\r\nx\nPING\r\n`,
    answer: UNKNOWN,
    closed: true,
  },
  ...['a.*', 'a.>', 'a..b', 'a.', '.a'].map((subject) => ({
    name: `a pedantic client is told that ${subject} is no target`,
    send: `${PEDANTIC}PUB ${subject} 0\r\n\r\nPING\r\n`,
    answer: `${BAD_TARGET}PONG\r\n`,
  })),
  {
    name: 'a wildcard published to matches only wildcards',
    send: `${QUIET}SUB a.b 1\r\nSUB a.* 2\r\nPUB a.* 1\r\nx\r\nPING\r\n`,
    answer: 'MSG a.* 2 1\r\nx\r\nPONG\r\n',
  },
  ...['a..b', 'a.', 'a..'].map((subject) => ({
    name: `nobody gets what is published to ${subject}`,
    send: `${QUIET}SUB a.> 1\r\nPUB ${subject} 1\r\nx\r\nPING\r\n`,
    answer: 'PONG\r\n',
  })),
  {
    name: 'one member of a queue group gets the message',
    send: `${QUIET}SUB a q 1\r\nSUB a q 1b\r\nUNSUB 1b\r\nPUB a 1\r\nx\r\nPING\r\n`,
    answer: 'MSG a 1 1\r\nx\r\nPONG\r\n',
  },
]

const HEADERS: readonly ProtocolCase[] = [
  {
    name: 'headers are handed on with their size',
    send: `${QUIET}SUB a 1\r\nHPUB a 12 14\r\n${HEADER}hi\r\n`,
    answer: `HMSG a 1 12 14\r\n${HEADER}hi\r\n`,
  },
  {
    name: 'headers and a reply',
    send: `${QUIET}SUB a 1\r\nHPUB a r 12 14\r\n${HEADER}hi\r\n`,
    answer: `HMSG a 1 r 12 14\r\n${HEADER}hi\r\n`,
  },
  {
    name: 'headers without a payload',
    send: `${QUIET}SUB a 1\r\nHPUB a 12 12\r\n${HEADER}\r\n`,
    answer: `HMSG a 1 12 12\r\n${HEADER}\r\n`,
  },
  {
    name: 'a header block is not inspected',
    send: `${QUIET}SUB a 1\r\nHPUB a 2 4\r\nhiho\r\n`,
    answer: 'HMSG a 1 2 4\r\nhiho\r\n',
  },
  {
    name: 'a header block of no bytes is none',
    send: `${QUIET}SUB a 1\r\nHPUB a 0 2\r\nhi\r\n`,
    answer: 'MSG a 1 2\r\nhi\r\n',
  },
  {
    name: 'hpub in lower case',
    send: `${QUIET}sub a 1\r\nhpub a 12 12\r\n${HEADER}\r\n`,
    answer: `HMSG a 1 12 12\r\n${HEADER}\r\n`,
  },
  {
    name: 'HPUB of a client that did not announce headers ends it',
    send: `${PLAIN}HPUB a 12 14\r\n${HEADER}hi\r\n`,
    answer: '',
    closed: true,
  },
  ...['a 15 14', 'a x 2', 'a -1 2', 'a 2', 'a b c 2 2', 'a 2 x'].map((args) => ({
    name: `HPUB ${args} ends the connection`,
    send: `${QUIET}HPUB ${args}\r\n`,
    answer: '',
    closed: true as const,
  })),
]

const NO_RESPONDERS: readonly ProtocolCase[] = [
  {
    name: 'a request nobody hears is answered with 503 on its inbox',
    send: `${QUIET}SUB r 7\r\nPUB x r 1\r\nx\r\n`,
    answer: '503 r 7\r\n',
  },
  {
    name: 'also when the inbox is a wildcard',
    send: `${QUIET}SUB r.* 7\r\nPUB x r.1 1\r\nx\r\nPUB x r.2 1\r\nx\r\n`,
    answer: '503 r.1 7\r\n503 r.2 7\r\n',
  },
  {
    name: 'the 503 does not use up the count of UNSUB',
    send: `${QUIET}SUB r.* 7\r\nUNSUB 7 1\r\nPUB x r.1 0\r\n\r\nPUB x r.2 0\r\n\r\n`,
    answer: '503 r.1 7\r\n503 r.2 7\r\n',
  },
  {
    name: 'no 503 without an inbox of its own',
    send: `${QUIET}PUB x r 1\r\nx\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
  {
    name: 'no 503 without a reply',
    send: `${QUIET}SUB r 7\r\nPUB x 1\r\nx\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
  {
    name: 'no 503 unless asked for',
    send: `${PEDANTIC}SUB r 7\r\nPUB x r 1\r\nx\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
]

const CONTROL_LINE: readonly ProtocolCase[] = [
  {
    name: 'arguments of 4,096 bytes are the most',
    send: `${QUIET}PUB ${long(4094)} 0\r\n\r\nPING\r\n`,
    answer: 'PONG\r\n',
  },
  {
    name: 'one byte more is refused',
    send: `${QUIET}PUB ${long(4095)} 0\r\n\r\n`,
    answer: TOO_LONG,
    closed: true,
  },
  {
    name: 'so is a line that does not end',
    send: `${QUIET}PUB ${long(4200)}`,
    answer: TOO_LONG,
    closed: true,
  },
  {
    name: 'a SUB too long',
    send: `${QUIET}SUB ${long(5000)} 1\r\n`,
    answer: TOO_LONG,
    closed: true,
  },
  {
    name: 'a CONNECT too long',
    send: `CONNECT {"name":"${long(5000)}"}\r\n`,
    answer: TOO_LONG,
    closed: true,
  },
  {
    name: 'a PING too long',
    send: `PING${' '.repeat(5000)}\r\n`,
    // nats-server skips what follows PING without counting it.
    answer: 'PONG\r\n',
    ours: { answer: TOO_LONG, closed: true },
  },
]

/** Publishing, headers, no responders, bounds. */
export const PUBLISH_CASES: readonly ProtocolCase[] = [
  ...PUBLISHING,
  ...HEADERS,
  ...NO_RESPONDERS,
  ...CONTROL_LINE,
]
