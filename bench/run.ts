/** `npm run bench`: one server; `npm run bench -- cluster`, `-- nats` and `-- go`: the others. */
const [program] = process.argv.slice(2)
if (program === 'cluster') {
  process.argv.splice(2, 1)
  await import('./cluster-main.ts')
} else if (program === 'go') {
  await import('./go-client.ts')
} else if (program === 'nats') {
  process.argv.splice(2, 1)
  await import('./nats.ts')
} else {
  await import('./main.ts')
}
