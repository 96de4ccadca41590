import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { type Entry, tarOf } from './handmade-tar.js'

/** A build that is to be put into `rsync-packed`. */
export interface Packed {
  /** Its packed tree; a small one when not said. */
  readonly tree?: Buffer
  readonly packing?: 'gz' | 'xz' | 'bz2' | 'lzma'
  /** What is in its `.name`; no such file, when null. */
  readonly name?: string | null
  readonly contents?: string | null
  readonly md5?: string | null
}

export const contents = '{"/bin/sh": "0755"}\n'

export const smallTree = (...more: Entry[]): Buffer =>
  gzipSync(tarOf({ name: 'bin/sh', mode: 0o755, content: 'x'.repeat(2000) }, ...more))

/** Puts a build there as the XS had it. */
export async function pack(folder: string, stem: string, given: Packed = {}): Promise<void> {
  const { tree = smallTree(), packing = 'gz', name = stem, contents: manifest = contents } = given
  const file = `${stem}-tree.tar.${packing}`
  const { md5 = `${createHash('md5').update(tree).digest('hex')}  ${file}\n` } = given
  await write(folder, {
    [file]: tree,
    [`${file}.md5`]: md5,
    [`${stem}.contents`]: manifest,
    [`${stem}.name`]: name,
  })
}

/** Puts a build there as olpc-os-builder makes it. */
export async function packByBuilder(folder: string, stem: string, given: Packed = {}): Promise<void> {
  const {
    tree = smallTree(),
    packing = 'lzma',
    name = stem,
    contents: manifest = contents,
    md5 = null,
  } = given
  const file = `${stem}.tree.tar.${packing}`
  await write(folder, {
    [file]: tree,
    [`${file}.md5`]: md5,
    [`${stem}.toc`]: manifest,
    [`${stem}.name`]: name,
  })
}

async function write(folder: string, files: Record<string, string | Buffer | null>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, content] of Object.entries(files))
    if (content !== null) await writeFile(join(folder, name), content)
}

/** Runs a program to its end. @throws Error with what it said */
export function succeed(program: string, args: readonly string[], cwd?: string): string {
  const { stdout, stderr, status, error } = spawnSync(program, args, {
    cwd,
    encoding: 'latin1',
    maxBuffer: 1e9,
    env: { PATH: process.env.PATH, LC_ALL: 'C' },
  })
  if (status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr}`)
  return stdout
}
