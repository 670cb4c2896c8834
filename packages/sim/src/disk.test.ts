import { diskSuite } from '../../log/src/disk.suite.ts'
import { SimDisk } from './disk.ts'
import { createSimRandom } from './random.ts'

diskSuite('the simulated disk', async () => {
  const disk = new SimDisk().attach()
  await disk.makeDirectory('/root')
  return { disk, root: '/root', dispose: async () => undefined }
})

diskSuite('the simulated disk with every operation delayed', async () => {
  const storage = new SimDisk()
  const random = createSimRandom(1)
  storage.delay = async () => {
    for (let turns = random.integer(5); turns > 0; turns--) await Promise.resolve()
  }
  const disk = storage.attach()
  await disk.makeDirectory('/root')
  return { disk, root: '/root', dispose: async () => undefined }
})
