import { spawnSync } from 'node:child_process'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { program } from '../support/core/server-process.js'
import { temporaryDirectory } from '../support/temporary-directory.js'

const config = join(process.cwd(), 'config')

/** The files of a folder of `config`, by name. */
async function texts(folder: string, form: RegExp): Promise<[name: string, text: string][]> {
  const names = (await readdir(join(config, folder))).filter((name) => form.test(name))
  const read = async (name: string): Promise<[string, string]> => [
    name,
    await readFile(join(config, folder, name), 'utf8'),
  ]
  return Promise.all(names.map(read))
}

t.test('rules ask of some parent that it can be pulled out, and of none that it cannot', async (t) => {
  const rules = await texts('udev', /\.rules$/)
  t.equal(rules.length, 2)
  for (const [name, text] of rules) {
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    // udev takes "!=" for true when any parent has another value, and each USB device has an attribute of that name,
    // too: "removable", "fixed" or "unknown".
    t.notMatch(lines.join('\n'), /ATTRS\{\w+\}!=/, name)
    const [wanted, ...others] = lines.filter((line) => line.includes('SYSTEMD_WANTS'))
    t.same(others, [], name)
    t.match(wanted, /^ATTRS\{removable\}=="1", /, name)
  }
})

t.test(
  'units mount what sticks are sold with and nothing else, and systemd knows all that they say',
  async (t) => {
    const units = await texts('systemd', /usb.*\.service$/)
    t.equal(units.length, 2)
    const folder = await temporaryDirectory(t)
    for (const [name, text] of units) {
      t.match(text, /\/mount -t vfat,exfat -o ro,nosuid,nodev,noexec,/, name)
      const copy = join(folder, name)
      await writeFile(copy, text.replaceAll('/usr/local/bin/sugar-server', program))
      const said = spawnSync('systemd-analyze', ['verify', copy.replace('@', '@sdb1')], { encoding: 'utf8' })
      // A machine without systemd has no use for the units either.
      if (said.error !== undefined) continue
      t.equal(said.status, 0, said.stderr)
      t.notMatch(said.stderr, /sugar-server-usb/, 'nothing in it is unknown')
    }
  },
)
