import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { definePlugin } from '../../../core/api.js'
import { boot } from '../../../core/testing.js'
import rsync from '../../../plugins/rsync/plugin.js'
import { Builds } from '../../../plugins/rsync/public.js'
import { temporaryDirectory } from '../../support/temporary-directory.js'
import { equipped, packedTree, systemTree } from '../../support/upgrade/upgrade-server.js'

t.test('whoever has a build unpacked hears how many bytes of it are', async (t) => {
  if (!equipped(t)) return
  const size = 3_000_000
  const files = await packedTree(t, '885', await systemTree(t, size))
  const folder = await temporaryDirectory(t)
  for (const [path, { bytes }] of Object.entries(files)) await writeFile(join(folder, path), bytes)
  const heard: number[] = []
  const asking = definePlugin({
    name: 'asking',
    api: 1,
    summary: 'has a build unpacked',
    needs: { builds: Builds },
    async start({ needs }) {
      const [tree, contents] = ['885-tree.tar.bz2', '885.contents'].map((one) => join(folder, one))
      await needs.builds.install(
        { name: '885', tree: tree ?? '', contents: contents ?? '', from: 'asking' },
        {
          note: () => undefined,
          unpacked: (bytes) => void heard.push(bytes),
          signal: new AbortController().signal,
        },
      )
    },
  })
  const house = await boot({ plugins: [rsync, asking] })
  t.teardown(() => house.dispose())
  t.ok(heard.length > 3, 'while it is unpacked')
  t.same(
    heard,
    heard.toSorted((one, other) => one - other),
    'ever more',
  )
  const all = heard.at(-1) ?? 0
  t.ok(all >= size && all < size * 1.1, `${all} bytes in the end`)
})
