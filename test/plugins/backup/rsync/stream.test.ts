import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { choicesOf, protocolFor } from '../../../../core/api.js'
import { parseCommand } from '../../../../plugins/backup/rsync/command.js'
import { streamShape } from '../../../../plugins/backup/rsync/stream.js'
import { remoteShell } from '../../../support/backup/remote-shell.js'
import { needs } from '../../../support/needs.js'

const protocols = [27, 28, 29, 30, 31, 32]
const refused = /is refused: it has the server read/

/** A learner on the server and a Journal on the laptop, for clients that run at the same time. */
async function place(t: Test) {
  const shell = await remoteShell(t)
  const folder = mkdtempSync(join(tmpdir(), 'sugar-stream-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const journal = join(folder, 'journal')
  mkdirSync(journal)
  writeFileSync(join(journal, 'one'), 'one')
  writeFileSync(join(journal, 'rules'), '- rules\n')
  let homes = 0
  const rsync = async (...args: string[]) => {
    homes += 1
    const home = join(folder, `home-${homes}`)
    for (const name of ['tree/datastore-current', 'temporary', 'back'])
      mkdirSync(join(home, name), { recursive: true })
    symlinkSync('datastore-current', join(home, 'tree', 'current'))
    writeFileSync(join(home, 'tree', 'datastore-current', 'here'), 'here')
    const { status, stderr } = await shell(home, ...args.map((arg) => arg.replace('HOME', home)))
    return { code: status, said: stderr, line: args.join(' ') }
  }
  return { push: (...args: string[]) => rsync(...args, `${journal}/`, 'server:current'), rsync }
}

/** Runs some clients at a time. */
async function each<T>(all: readonly T[], run: (one: T) => Promise<void>): Promise<void> {
  const left = [...all]
  await Promise.all(
    Array.from({ length: 6 }, async () => {
      for (let one = left.shift(); one !== undefined; one = left.shift()) await run(one)
    }),
  )
}

/** What decides how a stream begins. */
const negotiations = [
  [],
  ['-z'],
  ['-zz'],
  ['-zv'],
  ['--new-compress'],
  ['--old-compress'],
  ['-z', '--compress-level=3'],
  ['--compress-choice=zstd'],
  ['--compress-choice=zstd', '--compress-level=2'],
  ['--compress-choice=lz4'],
  ['--compress-choice=zlib'],
  ['--compress-choice=none'],
  ['--compress-choice=auto'],
  ['--compress-choice=auto', '-z'],
  ['--checksum-choice=md5'],
  ['--checksum-choice=auto', '-c'],
  ['--checksum-choice=xxh64,md5', '-cz'],
  ['-z', '--checksum-choice=none'],
]
const deletions = [
  [],
  ['--delete'],
  ['--del'],
  ['--delete-before'],
  ['--delete-during'],
  ['--delete-delay'],
  ['--delete-after'],
  ['--delete-excluded'],
  ['--delete', '--delete-excluded'],
  ['-m'],
  ['-m', '--delete-excluded'],
]

t.test('the beginning of a stream is understood, whatever a client has to agree upon', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { push, rsync } = await place(t)
  const all = protocols.flatMap((protocol) =>
    // From protocol 30 on there is something to agree upon, by what the client can do, not by the protocol.
    negotiations
      .slice(0, protocol === 32 ? negotiations.length : 2)
      .map((options) => [`--protocol=${protocol}`, ...options]),
  )
  await each(all, async (options) => {
    const sent = await push('-rlt', '--delete', '--exclude=x', '--include=y', '--filter=R z', ...options)
    const isTaken =
      sent.code === 0 || /compress name|checksum name|Could not|too (old|modern)/.test(sent.said)
    t.ok(isTaken, `${sent.line}: ${sent.said}`)
    const got = await rsync('-rlt', '--exclude=x', ...options, 'server:current/', 'HOME/back/')
    t.equal(got.code, 0, `${got.line}: ${got.said}`)
  })
})

t.test('a rule that has the server read a file is refused wherever a client sends it', async (t) => {
  if (!needs(t, 'rsync', 'rsync')) return
  const { push, rsync } = await place(t)
  await each(
    protocols.flatMap((protocol) => deletions.map((deletion) => ({ protocol, deletion }))),
    async ({ protocol, deletion }) => {
      const sent = await push('-rlt', `--protocol=${protocol}`, ...deletion, '--filter=: rules')
      // Where nothing is deleted, a client keeps its rules to itself; one of old cannot send them.
      if (protocol < 29) t.match(sent.said, /too modern|--prune-empty-dirs requires/, sent.line)
      else if (deletion.length === 0) t.equal(sent.code, 0, `${sent.line}: ${sent.said}`)
      else t.match(sent.said, refused, sent.line)
    },
  )
  await each(protocols, async (protocol) => {
    for (const rule of [['--filter=: rules'], ['--filter=dir-merge rules'], ['-F'], ['-FF'], ['-C']]) {
      const got = await rsync('-rlt', `--protocol=${protocol}`, ...rule, 'server:current/', 'HOME/back/')
      const reason = rule[0] === '-C' ? /-C is refused|too modern/ : protocol < 29 ? /too modern/ : refused
      t.match(got.said, reason, got.line)
    }
  })
  const merged = await rsync('-rlt', '--exclude-from=/etc/hostname', 'server:current/', 'HOME/back/')
  t.equal(merged.code, 0, 'what the laptop reads itself comes as plain rules')
})

t.test('an rsync from before the lists of algorithms is not sent any', async (t) => {
  const shape = (line: string, protocol: number, ...version: [number, number, number]) =>
    streamShape(parseCommand(`rsync --server ${line} . current`), { version, protocol })
  t.equal(shape('-ltrze.iLsfxCIvu', 32, 3, 5, 0).choices, 2)
  t.equal(shape('-ltrze.iLsfxCIvu', 31, 3, 1, 3).choices, 0)
  t.equal(shape('-ltrze.iLsf', 32, 3, 5, 0).choices, 0)
  t.equal(
    choicesOf({ client: 'v', compress: 0, hasCompressLevel: true }, { version: [3, 2, 0], protocol: 31 }),
    2,
  )
  t.equal(shape('-ltre31.14iLs', 32, 3, 5, 0).offered, 30)
})

t.test('a client from before a release is answered with the protocol before', async (t) => {
  t.equal(protocolFor(32, '.iLsf'), 32)
  t.equal(protocolFor(32, '32.0'), 32)
  t.equal(protocolFor(32, '32.1'), 31)
  t.equal(protocolFor(32, '31.1'), 30)
  t.equal(protocolFor(32, '30.5iLs'), 29)
  t.equal(protocolFor(31, '33.1'), 31)
  t.equal(protocolFor(33, ''), 32)
})
