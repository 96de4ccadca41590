import type { Test } from 'tap'
import { definePlugin, report } from '../../../core/api.js'
import { boot, type TestHouse } from '../../../core/testing.js'
import keyring from '../../../plugins/keyring/plugin.js'
import { Keyring } from '../../../plugins/keyring/public.js'
import { made } from './key-files.js'
import { known, second, third, xo } from './open-keyring.js'

/** The laptops of the vectors as a list. */
export const csv = [xo, second, third].map(({ serial, uuid }) => `${serial},${uuid}\n`).join('')
const now = () => `${new Date().toISOString().slice(0, 19).replace(/[-:]/g, '')}Z`
/** A date to come, as people write it. */
export const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString().slice(0, 10)
/** The same as moments begin. */
export const compact = (date: string) => date.replaceAll('-', '')

/** A house with the keyring in it. */
export interface Home {
  readonly house: TestHouse
  /** Another plugin's view of the keyring. */
  readonly keyring: Keyring
  /** The keyring's part of status, and what is wrong with it. */
  told(): Promise<{ lines: readonly string[]; all: string }>
  run(command: string, call?: Call): Promise<{ exit: number; out: string; err: string }>
}

interface Call {
  file?: Buffer | string
  args?: Record<string, string>
  options?: Record<string, string>
  json?: boolean
}

export async function home(t: Test, settings: Record<string, string> = {}, root?: string): Promise<Home> {
  let seen: Keyring | undefined
  const guest = definePlugin({
    ...{ name: 'guest', api: 1, summary: 'Looks at the keyring.', needs: { keyring: Keyring } },
    start(ctx) {
      seen = ctx.needs.keyring
    },
  })
  const house = await boot({ plugins: [keyring, guest], settings, ...(root === undefined ? {} : { root }) })
  t.teardown(() => house.dispose())
  if (seen === undefined) throw new Error('the keyring did not start')
  return {
    house,
    keyring: seen,
    async told() {
      const { keyring } = await house.house.kernel.hooks.gather(report, {}, undefined)
      const { health } = await house.status()
      return { lines: keyring?.lines ?? [], all: JSON.stringify({ keyring, health }) }
    },
    async run(command, { file, args = {}, options = {}, json = false } = {}) {
      const files = file === undefined ? [] : [{ path: 'input', bytes: Buffer.from(file) }]
      const { ended, out, err } = await house.command(['keyring', command], { args, options, files, json })
      const { message = '', hint = '' } = ended as { message?: string; hint?: string }
      return { exit: ended.exit, out, err: [err, message, hint].join('\n') }
    },
  }
}

/** Has a key of the vectors imported. */
export async function give(
  { run }: Home,
  role: string,
  name: string,
  half: 'private' | 'public' = 'private',
): Promise<void> {
  const { exit, err } = await run('import', { file: made(`${name}.${half}`), options: { role } })
  if (exit !== 0) throw new Error(err)
}

/** A laptop of today that knows one key. */
export const laptop = (one: typeof xo, key: string) => ({ ...one, keys: [known(key)], now: now() })
