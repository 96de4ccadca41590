import { statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type Probe, SystemError, systemCode } from '../../../core/api.js'
import { amount } from '../text.js'

type Settings = Parameters<Probe['look']>[0]

const million = 1e6

/** Sees that the disks could hold what the options want, were there nothing else on them. */
export const capacity: Probe = {
  what: 'disks as large as upgrade-keep-free and upgrade-limit want them',
  // What is here can be served all the same.
  advice: true,
  async look(settings) {
    const root = String(settings.get('root'))
    // An option of another plugin, in whose place a third one may have come.
    const place = settings.all().find(({ name }) => name === 'rsync-root')?.value
    const builds = String(place || join(root, 'rsync'))
    for (const folder of [builds, join(root, 'upgrade')]) {
      const size = await sizeOf(folder)
      const fault = tooMuchFree(settings, folder, size)
      if (fault !== undefined) return fault
    }
    return tooManyBuilds(settings, builds, await sizeOf(builds))
  },
}

const bytes = (settings: Settings, option: string): number => Number(settings.get(option)) * million

function tooMuchFree(settings: Settings, folder: string, size: number): SystemError | undefined {
  const free = bytes(settings, 'upgrade-keep-free')
  if (free < size) return undefined
  const which = settings.describe('upgrade-keep-free')
  const what = `${amount(free)} are to stay free, and the disk of ${folder} has ${amount(size)}`
  return new SystemError('NO_SPACE', `${which}: ${what}: no build is ever fetched`, {
    hint: `set upgrade-keep-free to ${Math.floor(size / 10 / million)}, a tenth of it, or less`,
  })
}

/** A limit that nobody has set means no more than as far as the disk goes. */
function tooManyBuilds(settings: Settings, folder: string, size: number): SystemError | undefined {
  const isSet = settings
    .all()
    .some(({ name, origin }) => name === 'upgrade-limit' && origin.from !== 'default')
  const [limit, free] = [bytes(settings, 'upgrade-limit'), bytes(settings, 'upgrade-keep-free')]
  if (!isSet || limit + free <= size) return undefined
  const which = settings.describe('upgrade-limit')
  const what = `${amount(limit)} of builds, and ${amount(free)} that stay free (upgrade-keep-free)`
  return new SystemError(
    'NO_SPACE',
    `${which}: ${what}, are more than the disk of ${folder} has, ${amount(size)}`,
    {
      hint: `set upgrade-limit to ${Math.max(1, Math.floor((size - free) / million))} or less`,
    },
  )
}

/** Bytes of a disk that this user may have, by a directory on it that need not be there yet. */
async function sizeOf(folder: string): Promise<number> {
  try {
    const { blocks, bfree, bavail, bsize } = await statfs(folder)
    return (blocks - bfree + bavail) * bsize
  } catch (error) {
    // What cannot be looked at at all is told by others.
    if (systemCode(error) !== 'ENOENT' || dirname(folder) === folder) return Number.POSITIVE_INFINITY
    return await sizeOf(dirname(folder))
  }
}
