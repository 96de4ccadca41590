import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmodSync, lutimesSync, mkdirSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** The smallest PNG there is: one pixel. */
export const png = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)

/** The same uid for the same number in every run. */
export function uidOf(number: number): string {
  const hex = createHash('sha1').update(`entry ${number}`).digest('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join(
    '-',
  )
}

export type Files = Record<string, string | Buffer>

export interface Written {
  uid: string
  data?: string | Buffer
  metadata: Files
}

/** Files of an entry as Sugar 0.84 and later lay them out. */
export function filesOf({ uid, data, metadata }: Written): Files {
  const folder = `${uid.slice(0, 2)}/${uid}`
  const files: Files = { [`${folder}/metadata/uid`]: uid }
  if (data !== undefined) files[`${folder}/data`] = data
  for (const [key, value] of Object.entries(metadata)) files[`${folder}/metadata/${key}`] = value
  return files
}

/** Writes files to the disk. */
export function put(folder: string, files: Files): void {
  for (const [name, content] of Object.entries(files)) {
    const path = join(folder, name)
    mkdirSync(dirname(path), { recursive: true })
    writeFileSync(path, content)
  }
}

export const song: Written = {
  uid: uidOf(1),
  data: 'Había una vez',
  metadata: {
    title: 'Mi canción',
    activity: 'org.laptop.AbiWordActivity',
    mime_type: 'text/plain',
    timestamp: '1700000300',
    creation_time: '1690000000',
    mtime: '2023-11-14T22:18:20.000001',
    tags: 'música escuela',
    description: '',
    keep: '1',
    preview: png,
    buddies: '{}',
  },
}

export const chat: Written = {
  uid: uidOf(2),
  metadata: { title: '0', activity: 'org.laptop.Chat', mime_type: '', timestamp: '1700000100', keep: '0' },
}

export const drawing: Written = {
  uid: uidOf(3),
  data: Buffer.alloc(200_000, 'drawing '),
  metadata: {
    title: Buffer.from('Dibujo \xff\xfe', 'latin1'),
    activity: 'org.laptop.Oficina',
    mime_type: 'image/png',
    timestamp: '1700000200',
    preview: png.toString('base64'),
  },
}

/** A whole datastore on the disk, with all that lies beside entries, odd modes, times and names. */
export function putDatastore(folder: string): void {
  for (const entry of [song, chat, drawing]) put(folder, filesOf(entry))
  const path = `${song.uid.slice(0, 2)}/${song.uid}`
  put(folder, {
    version: '6',
    index_updated: '',
    'index/flintlock': Buffer.alloc(3000, 7),
    'checksums/queue/x': '',
    [`${path}/metadata/.title.part`]: 'Mi can',
    [`${path}/extra/${'long'.repeat(50)}/${'name'.repeat(50)}`]: 'deep',
    'line\nbreak': 'odd',
  })
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from('ni\xf1o', 'latin1')]), 'no UTF-8')
  chmodSync(join(folder, path, 'data'), 0o444)
  utimesSync(join(folder, path, 'data'), 4_102_444_800.25, 4_102_444_800.25)
  chmodSync(join(folder, 'version'), 0o4755)
  chmodSync(join(folder, 'checksums'), 0o750)
  symlinkSync('../version', join(folder, 'index/inside'))
  lutimesSync(join(folder, 'index/inside'), 1_000_000.5, 1_000_000.5)
  symlinkSync('../../version', join(folder, 'index/outside'))
  symlinkSync('/etc/passwd', join(folder, 'absolute'))
  utimesSync(join(folder, 'index'), 86_400.5, 86_400.5)
}

/** Runs a Python script and parses what it prints as JSON. */
export function python<T>(script: string, ...args: string[]): T {
  return JSON.parse(
    execFileSync('python3', ['-c', script, ...args], { encoding: 'utf8', maxBuffer: 1 << 26 }),
  )
}
