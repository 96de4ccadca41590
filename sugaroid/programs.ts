import { access, constants } from 'node:fs/promises'
import { join } from 'node:path'
import { MissingProgram } from './errors.js'

/** Programs that are run, and the Debian packages that have them. */
const packages = { rsync: 'rsync', ssh: 'openssh-client' } as const

async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  )
}

/** Looks for the programs of a transfer before it begins. Throws a MissingProgram that names the package. */
export async function findPrograms(path = process.env.PATH ?? ''): Promise<void> {
  const folders = path.split(':').filter((folder) => folder !== '')
  for (const [program, debianPackage] of Object.entries(packages)) {
    const found = await Promise.all(folders.map((folder) => isExecutable(join(folder, program))))
    if (!found.includes(true)) throw new MissingProgram(program, debianPackage)
  }
}
