import { mkdirSync } from 'node:fs'
import { copyFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { writeChanges } from '../../plugins/activation/roll/change-file.js'
import { PublicKey } from '../../plugins/keyring/public.js'
import { freePort, type Served, serve } from '../support/process.js'
import { processorTime, run } from '../support/run.js'
import type { Taken } from '../support/turns.js'
import { serialOf, uuidOf } from './laptops.js'

const here = fileURLToPath(new URL('.', import.meta.url))
const program = join(here, '..', '..', 'core', 'bin', 'sugar-server.js')
const keys = join(here, '..', '..', '..', 'test', 'vectors', 'bios-crypto', 'keys')

/** Whoever is measured has a core of its own, and laptops have the other; or else all have both. */
const cores = { one: '0', laptops: '1', all: '0,1' }

const together = 64

interface Start {
  readonly on?: 'one' | 'all'
  readonly options?: readonly string[]
}

/** A school whose laptops lock. */
export class Stage {
  readonly folder: string
  /** The private key that signs, as makekey wrote it. */
  readonly key = join(keys, 'lease.private')
  readonly laptops: number

  private constructor(folder: string, laptops: number) {
    this.folder = folder
    this.laptops = laptops
  }

  /** Makes the school: laptops with their uuids, and, of a second set, ready leases. */
  static async open(where: string, laptops: number): Promise<Stage> {
    const stage = new Stage(await mkdtemp(join(where, 'sugar-bench-')), laptops)
    const { root } = stage
    mkdirSync(join(root, 'activation'), { recursive: true, mode: 0o700 })
    const ready = { until: '20300101T000000Z' }
    const keyId = PublicKey.parse(await readFile(join(keys, 'lease.public'))).id
    const changes = Array.from({ length: laptops }, (_, number) => number).flatMap((number) => {
      const serial = serialOf(laptops + number)
      const line = `act01: ${serial} K ${ready.until} sig01: sha256 ${keyId} ${'ab'.repeat(256)}`
      return [
        { serial: serialOf(number), laptop: { uuid: uuidOf(number) } },
        { serial, stock: { serial, sig01: { line, ...ready } } },
      ]
    })
    await writeChanges(join(root, 'activation', 'changes.jsonl'), changes)
    const pair = join(stage.folder, 'keys')
    mkdirSync(pair, { mode: 0o700 })
    for (const half of ['lease.private', 'lease.public']) await copyFile(join(keys, half), join(pair, half))
    await run(process.execPath, [program, '--root', root, ...plugins, 'keyring', 'import', pair])
    return stage
  }

  get root(): string {
    return join(this.folder, 'root')
  }

  close(): Promise<void> {
    return rm(this.folder, { recursive: true, force: true })
  }

  /** Starts the server. @param options such as `--keyring-driver bios-crypto` */
  async server({ on = 'one', options = [] }: Start = {}): Promise<{ served: Served; port: number }> {
    const port = await freePort()
    const words = [program, '--root', this.root, '--host', '127.0.0.1', '--httpd-port', '0', ...plugins]
    const all = [process.execPath, ...words, '--activation-port', String(port), ...options]
    return { served: await serve('taskset', ['-c', cores[on], ...all]), port }
  }

  async constant(): Promise<{ served: Served; port: number }> {
    const port = await freePort()
    const args = [join(here, '..', 'peers', 'constant.js'), String(port), serialOf(this.laptops)]
    return { served: await serve('taskset', ['-c', cores.one, process.execPath, ...args]), port }
  }

  /** Signs alone, so many times. */
  async sign(count: number): Promise<Taken> {
    const args = [process.execPath, join(here, '..', 'peers', 'signer.js'), this.key, String(count)]
    const { output } = await run('taskset', ['-c', cores.one, ...args])
    return JSON.parse(output) as Taken
  }

  /** Has laptops ask. @throws Error when one of them does not get its lease */
  async ask(
    { served, port }: { served: Served; port: number },
    { first, count, laptops = count }: { first: number; count: number; laptops?: number },
  ): Promise<Taken> {
    const args = [join(here, 'callers.js'), ...[port, first, count, together, laptops].map(String)]
    const before = processorTime(served.child.pid ?? 0)
    const { output } = await run('taskset', ['-c', cores.laptops, process.execPath, ...args])
    const { seconds, served: given } = JSON.parse(output) as { seconds: number; served: number }
    if (given < count) throw new Error(`only ${given} of ${count} laptops got their lease`)
    return { seconds, work: processorTime(served.child.pid ?? 0) - before }
  }
}

const plugins = ['--plugins', 'keyring,activation']
