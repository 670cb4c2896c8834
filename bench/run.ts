/** `npm run bench`: one server; `npm run bench -- cluster` and `-- nats`: the other programs. */
const [program] = process.argv.slice(2)
if (program === 'cluster') {
  process.argv.splice(2, 1)
  await import('./cluster-main.ts')
} else if (program === 'nats') {
  process.argv.splice(2, 1)
  await import('./nats.ts')
} else {
  await import('./main.ts')
}
