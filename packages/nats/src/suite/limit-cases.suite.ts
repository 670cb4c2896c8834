import { login, type CaseGroup } from './login-cases.suite.ts'
import { QUIET } from './raw-client.suite.ts'

const LIMITS: CaseGroup = {
  title: 'limits',
  conf: `max_subscriptions: 2
    max_payload: 100
    max_control_line: 200
    max_sub_tokens: 3`,
  cases: [
    {
      name: 'a subscription too many is refused, the client stays',
      send: `${login({ verbose: true })}SUB a 1\r\nSUB b 2\r\nSUB c 3\r\nPING\r\n`,
      answer: "+OK\r\n+OK\r\n+OK\r\n-ERR 'maximum subscriptions exceeded'\r\nPONG\r\n",
    },
    {
      name: 'room is made by UNSUB',
      send: `${QUIET}SUB a 1\r\nSUB b 2\r\nUNSUB 1\r\nSUB c 3\r\nPUB c 0\r\n\r\n`,
      answer: 'MSG c 3 0\r\n\r\n',
    },
    {
      name: 'room is made by a count that runs out',
      send: `${QUIET}SUB a 1\r\nUNSUB 1 1\r\nSUB b 2\r\nPUB a 0\r\n\r\nSUB c 3\r\nPUB c 0\r\n\r\n`,
      answer: 'MSG a 1 0\r\n\r\nMSG c 3 0\r\n\r\n',
    },
    {
      name: 'a payload at the limit passes',
      send: `${QUIET}SUB a 1\r\nPUB a 100\r\n${'p'.repeat(100)}\r\n`,
      answer: `MSG a 1 100\r\n${'p'.repeat(100)}\r\n`,
    },
    {
      name: 'a payload over it ends the connection',
      send: `${QUIET}PUB a 101\r\n`,
      answer: "-ERR 'Maximum Payload Violation'\r\n",
      closed: true,
    },
    {
      name: 'headers count',
      send: `${QUIET}HPUB a 12 101\r\n`,
      answer: "-ERR 'Maximum Payload Violation'\r\n",
      closed: true,
    },
    {
      name: 'a control line over its limit ends the connection',
      send: `${QUIET}SUB ${'a'.repeat(220)} 1\r\n`,
      answer: "-ERR 'maximum control line exceeded'\r\n",
      closed: true,
    },
    {
      name: 'so does a CONNECT over it',
      send: login({ name: 'n'.repeat(220) }),
      answer: "-ERR 'maximum control line exceeded'\r\n",
      closed: true,
    },
    {
      name: 'a subject of too many tokens is refused, the client stays',
      send: `${QUIET}SUB a.b.c 1\r\nSUB a.b.c.d 2\r\nPING\r\n`,
      answer: `-ERR 'Permissions Violation for Subscription to "a.b.c.d", too many tokens'\r\nPONG\r\n`,
    },
  ],
}

export const LIMIT_GROUPS: readonly CaseGroup[] = [LIMITS]
