import type { Test } from 'tap'
import { boot } from '../../../core/testing.js'
import { run } from '../core/server-process.js'
import type { RsyncHouse } from './rsync-server.js'

/** Ends a house, and starts it again on what it has left. */
export async function reopen(
  t: Pick<Test, 'teardown'>,
  house: RsyncHouse,
  settings: Record<string, string> = {},
  plugins: readonly unknown[] = ['rsync'],
): Promise<RsyncHouse> {
  await house.dispose()
  const again = await boot({ plugins, settings, root: house.root })
  t.teardown(() => again.dispose())
  const port = Number(new URL(await again.url('rsync')).port)
  const addressed = (word: string) =>
    word.startsWith('::') ? `rsync://127.0.0.1:${port}/${word.slice(2)}` : word
  return { ...house, ...again, port, rsync: (...words) => run(t, ['rsync', ...words.map(addressed)]) }
}
