import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { Audit } from '../../../plugins/keyring/audit/audit.js'
import { temporaryDirectorySync } from '../temporary-directory.js'

export const key = 'ab'.repeat(32)
export const entry = (what: string) => ({
  by: 'test',
  what,
  serial: 'SHC94700123',
  key,
  expiry: '20270101T000000Z',
})
export const log = (folder: string) => join(folder, 'log')
export const head = (folder: string) => join(folder, 'head')
export const linesOf = (folder: string) => readFileSync(log(folder), 'utf8').split('\n').slice(0, -1)
export const write = (folder: string, lines: readonly string[]) =>
  writeFileSync(log(folder), lines.map((line) => `${line}\n`).join(''))

export async function opened(t: Pick<Test, 'teardown'>, folder: string): Promise<Audit> {
  const audit = await Audit.open(folder)
  t.teardown(() => audit.close())
  return audit
}

export async function filled(t: Test, count: number): Promise<{ folder: string; audit: Audit }> {
  const folder = temporaryDirectorySync(t)
  const audit = await opened(t, folder)
  for (let n = 1; n <= count; n += 1) await audit.append(entry(`act01 ${n}`))
  return { folder, audit }
}

/** What a fresh start says of it. */
export async function verdictOf(folder: string) {
  const audit = await Audit.open(folder)
  try {
    return await audit.check()
  } finally {
    await audit.close()
  }
}
