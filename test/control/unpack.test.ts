import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { RequestError } from '../../core/errors.js'
import { unpack } from '../../core/unpack.js'

/** A tar of one file, and a new directory. */
function setting(t: Pick<Test, 'teardown'>): { tar: Buffer; to: string } {
  const from = mkdtempSync(join(tmpdir(), 'sugar-tar-'))
  const to = mkdtempSync(join(tmpdir(), 'sugar-tar-'))
  t.teardown(() => {
    for (const folder of [from, to]) rmSync(folder, { recursive: true })
  })
  writeFileSync(join(from, 'poem'), 'roses')
  return { tar: execFileSync('tar', ['-c', '-f', '-', '-C', from, '.']), to }
}

/** Longer than tar needs to be gone. */
const aWhile = 500

t.test('tar goes at the end that the archive itself marks, before the content has ended', async (t) => {
  const { tar, to } = setting(t)
  let isRead = false
  async function* content() {
    yield tar
    await sleep(aWhile)
    for (let count = 0; count < 50; count += 1) yield Buffer.alloc(10_000)
    isRead = true
  }
  await unpack(content(), to)
  t.equal(readFileSync(join(to, 'poem'), 'utf8'), 'roses')
  t.ok(isRead, 'it is read on, for only its end says whether all was well')
})

t.test('what the content throws after that end is not passed over', async (t) => {
  const { tar, to } = setting(t)
  async function* content() {
    yield tar
    await sleep(aWhile)
    throw new RequestError('REFUSED', 'it is short')
  }
  await t.rejects(unpack(content(), to), { code: 'REFUSED', message: 'it is short' })
})

t.test('content that breaks off is not half unpacked, and no tar waits for more', async (t) => {
  const { tar, to } = setting(t)
  async function* content() {
    yield tar.subarray(0, 600)
    throw new RequestError('REFUSED', 'it is short')
  }
  await t.rejects(unpack(content(), to), { code: 'REFUSED', message: 'it is short' })
})

t.test('of content that tar gives up on, no more is read', async (t) => {
  const { tar, to } = setting(t)
  const nowhere = join(to, 'nowhere')
  let chunks = 0
  async function* content() {
    yield tar
    for (; chunks < 10_000; chunks += 1) {
      await sleep(1)
      yield Buffer.alloc(10_000)
    }
  }
  await t.rejects(unpack(content(), nowhere), {
    code: 'NOT_WRITABLE',
    message: /cannot be written: .*No such file/,
  })
  t.ok(chunks < 10_000)
  t.same(readdirSync(to), [])
})
