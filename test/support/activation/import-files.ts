import type { InputFile } from '../../../core/api.js'
import type { TestHouse } from '../../../core/testing.js'
import { formatBundle } from '../../../plugins/keyring/public.js'

export interface Said {
  readonly exit: number
  readonly out: string
  /** What was said on standard error, and how it ended. */
  readonly err: string
}

/** Runs a command of activation. */
export async function run(
  house: TestHouse,
  command: string,
  args: Record<string, string> = {},
  more: { options?: Record<string, string>; files?: readonly InputFile[]; json?: boolean } = {},
): Promise<Said> {
  const { ended, out, err } = await house.command(['activation', command], { args, ...more })
  return { exit: ended.exit, out, err: `${err}${'message' in ended ? ended.message : ''}` }
}

/** `activation import`: of one file as it was named, of several as the files of a directory. */
export function bring(house: TestHouse, contents: Record<string, string | Buffer>): Promise<Said> {
  const files = Object.entries(contents).map(([path, content]) => ({ path, bytes: Buffer.from(content) }))
  const [only] = files
  return run(house, 'import', { file: files.length === 1 && only !== undefined ? only.path : '.' }, { files })
}

/** The same as a directory, however few files there are. */
export function bringFolder(house: TestHouse, contents: Record<string, string | Buffer>): Promise<Said> {
  const files = Object.entries(contents).map(([path, content]) => ({ path, bytes: Buffer.from(content) }))
  return run(house, 'import', { file: '.' }, { files })
}

export interface Listed {
  readonly serial: string
  readonly school: string | null
  readonly uuid: boolean
  readonly stolen: boolean
  readonly ready: { readonly sig01?: string; readonly sig02?: string }
}

/** What `activation list` says, by serial. */
export async function listed(house: TestHouse): Promise<Map<string, Listed>> {
  const { out } = await run(house, 'list', {}, { json: true })
  return new Map((JSON.parse(out) as Listed[]).map((one) => [one.serial, one]))
}

/** A bundle of leases that stand where they should, or not. */
export const bundleOf = (leases: Record<string, string>): string =>
  formatBundle(new Map(Object.entries(leases).map(([serial, line]) => [serial, `${line}\n`])))
