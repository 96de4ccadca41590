import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError, SugarError, systemCode } from '../../../core/api.js'
import { damaged } from './codec.js'
import { syncFolder } from './flush.js'
import type { Layout } from './layout.js'
import { type Header, type Manifest, readHeader, readManifest } from './manifest.js'

const ending = '.snapshot'
const heldEnding = '.held'
const idForm = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z(?:_\d{1,9})?$/

/** Why a snapshot must stay. */
export interface Hold {
  /** The brake holds what was there before most of a Journal went. */
  readonly by: 'brake' | 'operator'
  readonly why: string
}

/** A learner's snapshots, by their ids: UTC times that sort as they came. */
export class Shelf {
  readonly #folder: string

  constructor(layout: Layout, uid: string) {
    this.#folder = layout.snapshots(uid)
  }

  /** Oldest first. */
  ids(): string[] {
    return names(this.#folder)
      .filter((name) => name.endsWith(ending))
      .map((name) => name.slice(0, -ending.length))
      .filter((id) => idForm.test(id))
      .sort(byAge)
  }

  path(id: string): string {
    if (!idForm.test(id)) throw new RequestError('NOT_FOUND', `${id} is no snapshot`)
    return join(this.#folder, `${id}${ending}`)
  }

  /** Newest first, those whose own file is as it was written. What it names may be damaged still. */
  *wholes(): Generator<Manifest> {
    for (const id of this.ids().reverse()) {
      try {
        yield this.read(id)
      } catch (error) {
        if (!(error instanceof SugarError && error.code === 'DAMAGED')) throw error
      }
    }
  }

  /** @throws RequestError NOT_FOUND, SystemError DAMAGED */
  read(id: string): Manifest {
    const path = this.path(id)
    let manifest: Manifest
    try {
      manifest = readManifest(path)
    } catch (error) {
      if (systemCode(error) === 'ENOENT') throw new RequestError('NOT_FOUND', `there is no snapshot ${id}`)
      throw error
    }
    if (manifest.header.id !== id) throw damaged(`${path} is another snapshot, by what is in it`)
    return manifest
  }

  header(id: string): Header {
    return readHeader(this.path(id))
  }

  hold(id: string, hold: Hold): void {
    if (!existsSync(this.path(id))) throw new RequestError('NOT_FOUND', `there is no snapshot ${id}`)
    writeFileSync(this.#heldPath(id), JSON.stringify(hold), { mode: 0o600, flush: true })
    syncFolder(this.#folder)
  }

  held(id: string): Hold | undefined {
    let text: string
    try {
      text = readFileSync(this.#heldPath(id), 'utf8')
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined
      throw error
    }
    try {
      const { by, why } = JSON.parse(text) as Hold
      return { by: by === 'brake' ? by : 'operator', why: String(why) }
    } catch {
      // That it is there is enough: a hold is never lost for want of its reason.
      return { by: 'operator', why: 'the reason is lost' }
    }
  }

  /** @returns whether it was on hold */
  release(id: string): boolean {
    if (!existsSync(this.#heldPath(id))) return false
    rmSync(this.#heldPath(id))
    syncFolder(this.#folder)
    return true
  }

  remove(id: string): void {
    rmSync(this.path(id), { force: true })
    rmSync(this.#heldPath(id), { force: true })
  }

  /** An id for a snapshot of this time, later than all there are. */
  newId(at: Date): string {
    const latest = this.ids().at(-1)
    const plain = plainId(at)
    if (latest === undefined || byAge(latest, plain) < 0) return plain
    // In the same second; or the clock was set back, and order matters more than it does.
    const [base = plain, count = '0'] = latest.split('_')
    return `${base}_${Number(count) + 1}`
  }

  /** An id for a snapshot of a time in the past. */
  oldId(at: Date): string {
    const plain = plainId(at)
    const taken = this.ids()
    let id = plain
    for (let count = 1; taken.includes(id); count += 1) id = `${plain}_${count}`
    return id
  }

  #heldPath(id: string): string {
    return this.path(id).replace(/\.snapshot$/, heldEnding)
  }
}

/** Everyone who has snapshots. */
export const shelved = (layout: Layout): string[] => names(layout.allSnapshots).sort()

/** The time that an id stands for, ISO 8601. */
export const timeOf = (id: string): string =>
  id.replace(/^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z.*$/, '$1T$2:$3:$4.000Z')

/** The id that a time gives by itself. */
export const plainId = (at: Date): string => `${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z`

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw error
  }
}

function byAge(a: string, b: string): number {
  const [timeA = '', countA = '0'] = a.split('_')
  const [timeB = '', countB = '0'] = b.split('_')
  if (timeA !== timeB) return timeA < timeB ? -1 : 1
  return Number(countA) - Number(countB)
}
