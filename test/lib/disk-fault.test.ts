import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { codes, RequestError, StoreError, SugarError, SystemError } from '../../core/errors.js'
import { diskError, diskFault, diskFaultIn, isFull, unwritten } from '../../core/lib/disk-fault.js'
import { lacks } from '../support/needs.js'

const failed = (code: string) => Object.assign(new Error(`${code}: it failed, write`), { code })

t.test('a full disk, a failing one and a read-only one are told apart, with the next step', async (t) => {
  for (const [code, fault, error, hint] of [
    ['ENOSPC', 'full', 'NO_SPACE', /make room/],
    ['EDQUOT', 'full', 'NO_SPACE', /make room/],
    ['EIO', 'failing', 'DISK_FAILING', /see dmesg; copy the data off this disk first/],
    ['ENXIO', 'failing', 'DISK_FAILING', /dmesg/],
    ['Unknown system error -117', 'failing', 'DISK_FAILING', /dmesg/],
    ['EROFS', 'read-only', 'NOT_WRITABLE', /dmesg/],
    ['EACCES', undefined, 'NOT_WRITABLE', /user of this server/],
  ] as const) {
    t.equal(diskFault(failed(code)), fault, code)
    t.equal(isFull(failed(code)), fault === 'full', code)
    const told = unwritten('/a/file', failed(code))
    t.match(told, { code: error, hint }, code)
    t.match((told as Error).message, /\/a\/file/)
    t.ok((told as Error).message.includes(`(${code})`), code)
    t.ok((told as Error).cause instanceof Error)
  }
  t.match(unwritten('/a', failed('EIO'), { full: 'buy one', denied: 'ask' }), { hint: /dmesg/ })
  t.match(unwritten('/a', failed('ENOSPC'), { full: 'buy one', denied: 'ask' }), { hint: 'buy one' })
  t.match(unwritten('/a', failed('EPERM'), { full: 'buy one', denied: 'ask' }), { hint: 'ask' })
})

t.test('what is no error of the system, and what says by itself what it is, stays as it is', async (t) => {
  for (const thrown of [new Error('a fault of ours'), new RequestError('REFUSED', 'no'), 'text', undefined]) {
    t.equal(unwritten('/a', thrown), thrown)
    t.equal(diskFault(thrown), undefined)
  }
  const odd = failed('ERR_STREAM_PREMATURE_CLOSE')
  t.equal(unwritten('/a', odd), odd)
  t.equal(diskFault(new SystemError('NO_SPACE', 'full', { hint: 'x' })), 'full')
  t.equal(diskFault(diskError('/a', 'failing')), 'failing')
  const store = new StoreError('STORE_READ_ONLY', 'nothing can be kept', { cause: failed('EIO') })
  t.equal(diskFault(store), 'failing', 'an error of ours is looked into')
})

t.test('programs are read too, and a failing disk counts more than a full one', async (t) => {
  for (const [printed, fault] of [
    ["sync: error syncing '/x': Input/output error", 'failing'],
    ['tar: x: Cannot write: No space left on device', 'full'],
    ['tar: x: Cannot open: Disk quota exceeded', 'full'],
    ['tar: x: Cannot open: Read-only file system', 'read-only'],
    ['tar: a: Cannot write: No space left on device\ntar: b: Cannot write: Input/output error', 'failing'],
    ['tar: x: Cannot open: Permission denied', undefined],
    ['', undefined],
  ] as const)
    t.equal(diskFaultIn(printed), fault, printed)
})

t.test('whatever is thrown, the answer is an error of ours with a hint, or what was thrown', async (t) => {
  const code = fc.oneof(fc.string(), fc.constantFrom('EIO', 'ENOSPC', 'EPERM', 'ENOENT', 'E2BIG', 'EROFS'))
  fc.assert(
    fc.property(code, (text) => {
      const thrown = failed(text)
      const told = unwritten('/a', thrown)
      if (told === thrown) return diskFault(thrown) === undefined
      return told instanceof SugarError && told.code in codes && (told.hint ?? '') !== ''
    }),
  )
  t.pass('it is')
})

t.test('a disk that gives errors, for real', async (t) => {
  if (process.getuid?.() !== 0) return lacks(t, 'a full device', 'only root opens one')
  // The one device that every Linux has which takes no writes; EIO needs a device mapper that few machines have.
  const file = openSync('/dev/full', 'w')
  t.teardown(() => closeSync(file))
  try {
    writeSync(file, 'x')
    t.fail('it took a byte')
  } catch (error) {
    t.match(unwritten('/dev/full', error), { code: 'NO_SPACE' })
  }
  const folder = mkdtempSync(join(tmpdir(), 'sugar-fault-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const { stderr } = spawnSync('cp', ['/proc/self/mem', join(folder, 'copy')], { env: { LC_ALL: 'C' } })
  t.equal(diskFaultIn(String(stderr)), 'failing', String(stderr))
  try {
    readFileSync('/proc/self/mem')
    t.fail('it was read')
  } catch (error) {
    t.match(unwritten('/proc/self/mem', error), { code: 'DISK_FAILING' })
  }
})

t.test('nowhere else are the codes of a failed write translated', async (t) => {
  const { status, stdout } = spawnSync(
    'grep',
    ['-rlE', "'(ENOSPC|EDQUOT)'", 'core', 'plugins', '--include=*.ts'],
    { cwd: new URL('../../../', import.meta.url).pathname, encoding: 'utf8' },
  )
  t.equal(status, 1, `use core/lib/disk-fault.ts, not: ${stdout}`)
})
