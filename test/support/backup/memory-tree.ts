import { createHash } from 'node:crypto'
import { createReadStream, lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { RequestError, SystemError } from '../../../core/api.js'
import type { BytePath, FileRow, Row, Tree } from '../../../plugins/backup/tree.js'

const damage = () =>
  new SystemError('DAMAGED', 'an object is not what was put in', { hint: 'restore an older snapshot' })
const tooLarge = () => new RequestError('REQUEST_TOO_LARGE', 'the file is larger than its limit')

const byPath = (a: Row, b: Row): number => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0)

/** A text as the bytes of a path. */
export const latin1 = (text: string): BytePath => Buffer.from(text).toString('latin1')

/** A tree of rows that hold their contents themselves, sorted; the contents of `damaged` are lost. */
export function treeOf(given: readonly Row[], damaged: ReadonlySet<BytePath> = new Set()): Tree {
  const rows = [...given].sort(byPath)
  const whole = ({ content }: FileRow): Buffer => Buffer.from(content)
  return {
    rows: () => rows,
    read(row, limit) {
      if (row.size > limit) throw tooLarge()
      if (damaged.has(row.path)) throw damage()
      return whole(row)
    },
    async *pieces(row) {
      const bytes = whole(row)
      for (let at = 0; at < bytes.length; at += 1 << 16) yield bytes.subarray(at, at + (1 << 16))
      if (damaged.has(row.path)) throw damage()
    },
  }
}

/** A tree of texts or bytes by path (UTF-8); directories come by themselves. */
export function treeOfFiles(
  files: Readonly<Record<string, string | Buffer>>,
  damaged: readonly string[] = [],
): Tree {
  const rows = new Map<BytePath, Row>()
  const times = { seconds: 1_700_000_000, nanos: 123_456_000 }
  rows.set('', { type: 'directory', path: '', mode: 0o755, ...times })
  for (const [name, value] of Object.entries(files)) {
    const path = latin1(name)
    const content = Buffer.from(value)
    const parts = path.split('/')
    for (let depth = 1; depth < parts.length; depth += 1) {
      const directory = parts.slice(0, depth).join('/')
      rows.set(directory, { type: 'directory', path: directory, mode: 0o755, ...times })
    }
    rows.set(path, { type: 'file', path, mode: 0o644, ...times, size: content.length, content })
  }
  return treeOf([...rows.values()], new Set(damaged.map(latin1)))
}

/** A directory as it lies on the disk, as the archive would hand it out. */
export function treeOfFolder(folder: string): Tree {
  const rows: Row[] = []
  const at = (path: BytePath): Buffer =>
    path === ''
      ? Buffer.from(folder)
      : Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(path, 'latin1')])
  const visit = (path: BytePath): void => {
    const stat = lstatSync(at(path), { bigint: true })
    const common = {
      path,
      mode: Number(stat.mode & 0o7777n),
      seconds: Number(stat.mtimeNs / 1_000_000_000n),
      nanos: Number(stat.mtimeNs % 1_000_000_000n),
    }
    if (stat.isSymbolicLink()) {
      rows.push({ type: 'link', ...common, target: readlinkSync(at(path), 'buffer').toString('latin1') })
    } else if (stat.isFile()) {
      const bytes = readFileSync(at(path))
      const content = bytes.length <= 512 ? bytes : createHash('sha256').update(bytes).digest('hex')
      rows.push({ type: 'file', ...common, size: bytes.length, content })
    } else {
      rows.push({ type: 'directory', ...common })
      for (const name of readdirSync(at(path), { encoding: 'buffer' })) {
        visit(path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`)
      }
    }
  }
  visit('')
  rows.sort(byPath)
  return {
    rows: () => rows,
    read(row, limit) {
      if (row.size > limit) throw tooLarge()
      return readFileSync(at(row.path))
    },
    pieces: (row) => createReadStream(at(row.path)),
  }
}
