import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RequestError, SugarError, systemCode } from '../../../core/api.js'
import { damaged } from './codec.js'
import { syncFolder } from './flush.js'
import { type Layout, uidForm } from './layout.js'
import { type Header, type Manifest, readHeader, readManifest } from './manifest.js'

const ending = '.snapshot'
const heldEnding = '.held'
const idForm = /^\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z(?:_\d{1,9})?$/

/** Why a snapshot must stay. */
export interface Hold {
  /** The brake holds what was there before most of a Journal went. */
  readonly by: 'brake' | 'operator'
  readonly why: string
  /** The Journal went back and forth between two states by then: two laptops back up with one key. */
  readonly inTurns?: true
}

// That it is there is enough: a hold is never lost for want of its reason.
const lostHold: Hold = { by: 'operator', why: 'the reason is lost' }

/** A learner's snapshots, by their ids: UTC times that sort as they came. */
export class Shelf {
  readonly #folder: string
  readonly #scratch: string

  constructor(layout: Layout, uid: string) {
    this.#folder = layout.snapshots(uid)
    this.#scratch = join(layout.scratch, `held-${uid}`)
  }

  /** Oldest first. @throws SystemError DAMAGED when the folder cannot be read */
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
    const manifest = present(id, () => readManifest(path))
    if (manifest.header.id !== id) throw damaged(`${path} is another snapshot, by what is in it`)
    return manifest
  }

  /** @throws RequestError NOT_FOUND, SystemError DAMAGED */
  header(id: string): Header {
    return present(id, () => readHeader(this.path(id)))
  }

  /** Beside a hold of the other, each has one. */
  hold(id: string, hold: Hold): void {
    if (!existsSync(this.path(id))) throw new RequestError('NOT_FOUND', `there is no snapshot ${id}`)
    this.#write(id, [...this.held(id).filter(({ by }) => by !== hold.by), hold])
  }

  /** Its holds; none, when the rules may remove it. */
  held(id: string): readonly Hold[] {
    let text: string
    try {
      text = readFileSync(this.#heldPath(id), 'utf8')
    } catch (error) {
      return systemCode(error) === 'ENOENT' ? [] : [lostHold]
    }
    try {
      const all = [JSON.parse(text)].flat() as Hold[]
      const holds = all.map(({ by, why, inTurns }) => ({
        by: by === 'brake' ? by : ('operator' as const),
        why: String(why),
        ...(inTurns === true && { inTurns }),
      }))
      return holds.length > 0 ? holds : [lostHold]
    } catch {
      return [lostHold]
    }
  }

  /**
   * Takes holds back.
   * @param by whose; everybody's when not said
   * @returns whether there were any
   */
  release(id: string, by?: Hold['by']): boolean {
    const before = this.held(id)
    const left = by === undefined ? [] : before.filter((hold) => hold.by !== by)
    if (left.length === before.length) return false
    this.#write(id, left)
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

  /** One hold must not be lost while the other is written. */
  #write(id: string, holds: readonly Hold[]): void {
    if (holds.length === 0) rmSync(this.#heldPath(id))
    else {
      writeFileSync(this.#scratch, JSON.stringify(holds), { mode: 0o600, flush: true })
      renameSync(this.#scratch, this.#heldPath(id))
    }
    syncFolder(this.#folder)
  }

  #heldPath(id: string): string {
    return this.path(id).replace(/\.snapshot$/, heldEnding)
  }
}

/** Everyone who has snapshots. Whatever else lies there is nobody's. */
export const shelved = (layout: Layout): string[] =>
  names(layout.allSnapshots)
    .filter((name) => uidForm.test(name))
    .sort()

/** Why a snapshot is on hold, in one line; undefined when it is not. */
export const reasonOf = (holds: readonly Hold[]): string | undefined =>
  holds.length === 0 ? undefined : holds.map(({ why }) => why).join('; ')

/** The time that an id stands for, ISO 8601. */
export const timeOf = (id: string): string =>
  id.replace(/^(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})Z.*$/, '$1T$2:$3:$4.000Z')

/** The id that a time gives by itself. */
export const plainId = (at: Date): string => `${at.toISOString().slice(0, 19).replaceAll(':', '-')}Z`

function present<R>(id: string, read: () => R): R {
  try {
    return read()
  } catch (error) {
    if (systemCode(error) !== 'ENOENT') throw error
    throw new RequestError('NOT_FOUND', `there is no snapshot ${id}`)
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return []
    throw damaged(`${folder} cannot be read (${systemCode(error)})`, error)
  }
}

function byAge(a: string, b: string): number {
  const [timeA = '', countA = '0'] = a.split('_')
  const [timeB = '', countB = '0'] = b.split('_')
  if (timeA !== timeB) return timeA < timeB ? -1 : 1
  return Number(countA) - Number(countB)
}
