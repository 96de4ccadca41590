import { readdir, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { needs } from '../../../support/needs.js'
import { fill, openHouse } from '../../../support/rsync/rsync-server.js'

t.setTimeout(300_000)

/** An rsync speaks to its client itself, or through the server. */
const ways: readonly Record<string, string>[] = [{}, { 'rsync-bandwidth': '20000' }]
const protocols = [29, 30, 31, 32]

t.test('no rule and no list has the server read a file to a client', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of ways) {
    const { rsync, pub, beside } = await openHouse(t, settings)
    await fill(join(beside, 'secret'), { 'of-another': 'very-secret words\nvery-secret too\n' })
    await fill(join(pub, 'films'), { film: 'film', 'words-of-secret': 'x', 'deep/film': 'film' })
    await symlink(join(beside, 'secret', 'of-another'), join(pub, 'films', 'link'))
    const refuses = async (protocol: number) => {
      for (const [reason, ...options] of [
        [/the filter rule ": link" is refused: it has the server read a file of rules/, '--filter=: link'],
        [/the filter rule ":w- link" is refused/, '--filter=:w- link'],
        [/the filter rule ": \/.rsync-filter" is refused/, '-F'],
        [/configured to refuse --cvs-exclude \(-C\)/, '-C'],
        [/configured to refuse --files-from with a file of the server/, '--files-from=:link'],
        [/configured to refuse --exclude-from/, '-M--exclude-from=link'],
        [/configured to refuse --filter/, '-M--filter=. link'],
      ] as const) {
        const { code, out, err } = await rsync(
          '-avv',
          `--protocol=${protocol}`,
          ...options,
          '::films/',
          join(beside, `to-${protocol}`),
        )
        t.not(code, 0)
        t.match(err, reason, `${options.join(' ')} in protocol ${protocol}`)
        t.notMatch(out + err, /very-secret/)
      }
    }
    await Promise.all(protocols.map(refuses))
  }
})

t.test('what clients of every protocol choose by rules and lists of their own, they get', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  for (const settings of ways) {
    const { rsync, pub, beside } = await openHouse(t, settings)
    await fill(join(pub, 'films'), { a: 'a', b: 'b', 'c.o': 'c', 'deep/d': 'd' })
    const list = join(beside, 'list')
    await writeFile(list, 'a\ndeep/d\n')
    const patterns = join(beside, 'patterns')
    await writeFile(patterns, '*.o\nb\n')
    const rules = join(beside, 'rules')
    await writeFile(rules, '- *.o\n- b\n')
    const gives = async (protocol: number) => {
      for (const [wanted, ...options] of [
        [['a', 'b', 'c.o', 'deep'], '-z'],
        [['a', 'b', 'c.o', 'deep'], '-c', '--checksum-choice=md5'],
        [['a', 'b', 'c.o', 'deep'], '-zz', '--numeric-ids', '--delete', '--stats', '--bwlimit=90000'],
        [['a', 'deep'], `--files-from=${list}`],
        [['a', 'deep'], '-zs', `--files-from=${list}`],
        [['a', 'deep'], `--exclude-from=${patterns}`],
        [['a', 'deep'], `--filter=. ${rules}`, '-s'],
        [['a', 'b', 'c.o'], '--exclude=deep', '--include=x', '--info=progress2'],
        [['c.o'], '--include=*.o', '--exclude=*', '--compress-choice=zlib'],
      ] as const) {
        const to = join(beside, `${protocol}-${options.join('').replaceAll('/', '_')}`.slice(0, 200))
        const { code, err } = await rsync('-a', `--protocol=${protocol}`, ...options, '::films/', `${to}/`)
        t.equal(code, 0, `${options.join(' ')} in protocol ${protocol}: ${err}`)
        t.same((await readdir(to)).sort(), wanted)
      }
    }
    await Promise.all(protocols.map(gives))
  }
})
