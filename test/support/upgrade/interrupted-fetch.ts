import { randomBytes } from 'node:crypto'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { boot, type TestHouse } from '../../../core/testing.js'
import upgrade from '../../../plugins/upgrade/plugin.js'
import { temporaryDirectory } from '../temporary-directory.js'
import { type StandIn, standIn } from './fake-rsync.js'
import { type File, md5, packed, tagOf, type Upstream, upstream } from './upstream.js'

export const tree = randomBytes(300_000)
export const at = '/885-tree.tar.bz2'

export interface School {
  house: TestHouse
  rsync: StandIn
  from: Upstream
}

export async function school(
  t: Test,
  files: Record<string, File> = packed('885', tree),
  settings: Record<string, string> = {},
): Promise<School> {
  const from = await upstream(t, files)
  const rsync = await standIn(t)
  const house = await boot({
    plugins: [rsync.plugin, upgrade],
    settings: { 'upgrade-sources': `${from.url}/{name}`, 'upgrade-keep-free': '0', ...settings },
  })
  t.teardown(() => house.dispose())
  return { house, rsync, from }
}

/** A school at which something of a build has come already. */
export async function begun(
  t: Test,
  more: Record<string, string> = {},
): Promise<School & { left(): Promise<string[]>; restart(): Promise<void> }> {
  const from = await upstream(t, packed('885', tree))
  const rsync = await standIn(t)
  const root = await temporaryDirectory(t)
  const folder = join(root, 'upgrade', 'downloads', '885')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'tree'), tree.subarray(0, 1000))
  const facts = { from: '', sum: `md5:${md5(tree)}`, etag: tagOf(tree), size: tree.length, flushed: 1000 }
  await writeFile(join(folder, 'facts.json'), JSON.stringify(facts))
  await writeFile(join(await rsync.arrivals.folder('885'), 'contents'), '{}')
  const settings = {
    'upgrade-sources': `${from.url}/{name}`,
    'upgrade-keep-free': '0',
  }
  const plugins = [rsync.plugin, upgrade]
  const house = await boot({ plugins, settings: { ...settings, ...more }, root })
  t.teardown(() => house.dispose())
  const left = async () => [
    ...(await readdir(join(root, 'upgrade', 'downloads'))),
    ...(await rsync.arrivals.list()).map(({ name }) => `${name} of a school`),
  ]
  /** Without the other settings. */
  const restart = async () => {
    await house.dispose()
    const next = await boot({ plugins, settings, root })
    t.teardown(() => next.dispose())
  }
  return { house, rsync, from, left, restart }
}
