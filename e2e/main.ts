/** `npm run e2e`: one server under faults; `-- cluster` and `-- scenarios`: several. */
const [suite] = process.argv.slice(2)
if (suite === 'cluster' || suite === 'scenarios') {
  process.argv.splice(2, 1)
  await import(suite === 'cluster' ? './cluster.ts' : './scenarios.ts')
} else {
  await import('./kill.ts')
}
