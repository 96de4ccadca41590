import { randomBytes } from 'node:crypto'
import { watch } from 'node:fs'
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { inDays, laptop } from '../../../support/activation/activation-school.js'
import type { Listed } from '../../../support/activation/import-files.js'
import { cliHere } from '../../../support/core/cli-here.js'
import { cli, type Server, startServer } from '../../../support/core/server-process.js'
import { sha1sum } from '../../../support/core/signed-stick.js'
import { rounds, seed, spread } from '../../../support/rounds.js'
import { seededRandom } from '../../../support/seeded-random.js'
import { temporaryDirectory } from '../../../support/temporary-directory.js'

t.setTimeout(300_000)

const laptops = 2000
const many = rounds(12, 6)
const random = seededRandom(seed)
const args = ['--host', '127.0.0.1', '--httpd-port', '0', '--plugins', 'activation', '--activation-port', '0']

/** Leases that all end on the same day. Nobody checks their signatures: there is no keyring. */
function leases(day: number): { text: string; until: string } {
  const until = inDays(day)
  const key = '0'.repeat(64)
  const lines = Array.from(
    { length: laptops },
    (_, n) =>
      `act01: ${laptop(n).serial} K ${until} sig01: sha256 ${key} ${randomBytes(256).toString('hex')}\n`,
  )
  return { text: lines.join(''), until }
}

/** Until when the leases of all laptops count: one time, if nothing is mixed up. */
async function ends(t: Test, { root }: Pick<Server, 'root'>): Promise<string[]> {
  const { code, out, err } = await cliHere(t, ['activation', 'list', '--json', '--root', root])
  if (code !== 0) throw new Error(`list ended with ${code}: ${err}`)
  const rows = JSON.parse(out) as Listed[]
  if (rows.length !== laptops) throw new Error(`${rows.length} laptops are there`)
  return [...new Set(rows.map(({ ready }) => ready.sig01 ?? 'none'))]
}

/** Waits until something happened in a directory so many times. */
function happened(folder: string, times: number): Promise<void> {
  return new Promise((resolve) => {
    let left = times
    const watcher = watch(folder, () => {
      left -= 1
      if (left > 0) return
      watcher.close()
      resolve()
    })
    t.teardown(() => watcher.close())
  })
}

t.test(
  `${many} times kill -9 under an import of ${laptops} leases: all of it is there, or nothing`,
  async (t) => {
    const place = await temporaryDirectory(t)
    const root = join(place, 'root')
    const stick = join(place, 'stick')
    await mkdir(stick)
    const bring = async (day: number) => {
      const { text, until } = leases(day)
      await writeFile(join(stick, 'leases.sig'), text)
      await writeFile(join(stick, 'manifest.sha1'), sha1sum(stick, ['leases.sig']))
      return until
    }
    const importing = () => cli(t, ['activation', 'import', stick, '--root', root])
    let server = await startServer(t, { root, args })
    let current = await bring(10)
    const began = performance.now()
    t.match(await importing(), { code: 0, out: `leases.sig: ${laptops} taken, 0 unchanged, 0 refused\n` })
    const whole = performance.now() - began
    const kept = { old: 0, new: 0 }
    for (let round = 0; round < many; round += 1) {
      const next = await bring(11 + round)
      const ended = importing()
      // Some moments are chosen by the clock, and some by what happens in the directory.
      if (round % 2 === 0) await sleep(whole * (0.3 + spread(random, round, many, 0.7)))
      else
        await Promise.race([
          ended,
          happened(join(root, 'activation'), Math.ceil(spread(random, round, many, 12))),
        ])
      await server.kill9()
      const { code } = await ended
      server = await startServer(t, { root, args })
      const found = await ends(t, server)
      if (found.length !== 1 || ![current, next].includes(found[0] ?? ''))
        t.strictSame(found, [current], `round ${round} left a mixture`)
      if (code === 0 && found[0] !== next) t.fail('what was said to be taken is gone')
      kept[found[0] === next ? 'new' : 'old'] += 1
      current = found[0] ?? ''
    }
    t.equal(kept.old + kept.new, many, `${kept.old} times the old state, ${kept.new} times the new one`)
    const last = await bring(50)
    t.match(await importing(), { code: 0 })
    t.strictSame(await ends(t, server), [last])
    const left = (await readdir(join(root, 'activation'))).filter((name) => name.startsWith('incoming-'))
    t.strictSame(left, [], 'no copy of what came is left')
    t.equal((await server.stop()).code, 0)
  },
)
