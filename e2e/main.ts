/** `npm run e2e`: one server under faults; `npm run e2e -- cluster`: several. */
const [suite] = process.argv.slice(2)
if (suite === 'cluster') {
  process.argv.splice(2, 1)
  await import('./cluster.ts')
} else {
  await import('./kill.ts')
}
