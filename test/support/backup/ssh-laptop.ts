import { execFileSync, type SpawnOptions, spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { clientWithDsa, makeKeyFile, opensshHasDsa } from '../openssh.js'

export type KeyType = 'dsa' | 'rsa' | 'ecdsa' | 'ed25519'

export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** A laptop with Debian's rsync, and its ssh where that can use the key, a key of its own and a Journal. */
export class Laptop {
  readonly folder: string
  readonly journal: string
  readonly key: string
  readonly pubkey: string
  readonly uid: string
  /** Program and first arguments of its ssh. */
  readonly client: readonly string[]
  port = 0

  constructor(t: Test, type: KeyType = 'ed25519') {
    this.folder = mkdtempSync(join(tmpdir(), 'sugar-laptop-'))
    t.teardown(() => rmSync(this.folder, { recursive: true, force: true }))
    this.key = join(this.folder, 'owner.key')
    makeKeyFile(type, this.key)
    this.client = type === 'dsa' && !opensshHasDsa ? clientWithDsa : ['ssh']
    this.pubkey = readFileSync(`${this.key}.pub`, 'utf8').trim()
    this.uid = createHash('sha1').update(this.blob).digest('hex')
    this.journal = join(this.folder, 'journal')
    mkdirSync(join(this.journal, 'ab', 'metadata'), { recursive: true })
    const name = (...codes: number[]) =>
      Buffer.concat([Buffer.from(`${this.journal}/ab/metadata/`), Buffer.from(codes)])
    writeFileSync(name(0xff, 0x0a, 0x80), Buffer.from([0, 1, 2, 0xff]))
    writeFileSync(join(this.journal, 'ab', 'metadata', 'title'), 'my drawing')
    writeFileSync(join(this.journal, 'ab', 'data'), Buffer.alloc(300_000, 'drawing'), { mode: 0o444 })
    writeFileSync(join(this.journal, 'empty'), '')
  }

  get blob(): string {
    return this.pubkey.split(' ')[1] ?? ''
  }

  /** Options of ssh, with those that an OpenSSH of today needs for the keys of Sugar. */
  options(...more: string[]): string[] {
    const settings = {
      IdentityFile: this.key,
      IdentitiesOnly: 'yes',
      UserKnownHostsFile: join(this.folder, 'known_hosts'),
      StrictHostKeyChecking: 'accept-new',
      ...(this.pubkey.startsWith('ssh-dss ') && { PubkeyAcceptedAlgorithms: '+ssh-dss' }),
      BatchMode: 'yes',
      LogLevel: 'ERROR',
    }
    return [
      '-F',
      'none',
      ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]),
      ...more,
    ]
  }

  ssh(...args: string[]): Promise<Ended> {
    const [program = '', ...first] = this.client
    return run(program, [...first, ...this.options('-p', String(this.port)), ...args])
  }

  rsync(...args: string[]): Promise<Ended> {
    return this.rsyncVia(['-p', String(this.port)], ...args)
  }

  rsyncVia(more: string[], ...args: string[]): Promise<Ended> {
    return run('rsync', ['-e', [...this.client, ...this.options(...more)].join(' '), ...args])
  }

  /** What stands in a directory: names as bytes, types, modes, times and contents. */
  static listing(top: string): string {
    const facts = execFileSync('find', ['.', '-printf', '%P %m %Ts %y %l\\0'], { cwd: top })
    const sums = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum -z {} +'], { cwd: top })
    return `${facts.toString('latin1').split('\0').sort().join('\n')}${sums.toString('latin1').split('\0').sort().join('\n')}`
  }
}

export function run(program: string, args: readonly string[], options: SpawnOptions = {}): Promise<Ended> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 60_000, ...options })
  let stdout = ''
  let stderr = ''
  child.stdout?.on('data', (piece: Buffer) => {
    stdout += piece.toString('latin1')
  })
  child.stderr?.on('data', (piece: Buffer) => {
    stderr += piece.toString('latin1')
  })
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, stdout, stderr })))
}
