import type { Collection, Stored } from '../../../core/api.js'
import type { IssuedDoc } from '../documents.js'
import type { Laptop } from '../laptops.js'
import type { Ground, Grounds } from '../sign/ground.js'
import type { Records } from '../sign/records.js'
import type { PublicKey } from '../wire/key.js'
import { isLater, type Moment, parseMoment } from '../wire/moment.js'
import { formatLine } from '../wire/record.js'
import { parseSignature } from '../wire/signature.js'
import type { DelegatedRole } from './held.js'

export interface Wanted {
  readonly role: DelegatedRole
  /** The school server's key. */
  readonly to: PublicKey
  /** When it should end. */
  readonly until: Moment
  /**
   * Whether somebody chose that time: what ends before it is signed anew then. Otherwise what has more than half of its
   * time left will do.
   */
  readonly isFixed: boolean
  readonly by: string
}

export interface Issued {
  /** `del01: ...` without its line end; holds the uuid. */
  readonly line: string
  /** When it ends. */
  readonly until: Moment
  /** Whether it was signed earlier. */
  readonly wasKept: boolean
}

/** Signs delegations for school servers, and remembers them: what is unchanged and fresh is not signed again. */
export class Issuer {
  readonly #issued: Collection<IssuedDoc>
  readonly #records: Records
  readonly #grounds: Grounds
  readonly #now: () => Date

  constructor(issued: Collection<IssuedDoc>, records: Records, grounds: Grounds, now: () => Date) {
    this.#issued = issued
    this.#records = records
    this.#grounds = grounds
    this.#now = now
  }

  /** @returns when it is on the disk @throws RequestError, StoreError */
  async issue({ serial, uuid, school }: Laptop, wanted: Wanted): Promise<Issued> {
    const { role, to, until, by } = wanted
    const id = `${role}:${to.id}:${serial}`
    const before = await this.#issued.get(id)
    const ground = this.#grounds.find(role, serial)
    if (before !== undefined && before.uuid === uuid && isOn(before, ground) && this.#isFresh(before, wanted))
      return { line: lineOf(before), until: before.until, wasKept: true }
    const chain = await this.#records.delegation({ role, serial, uuid, to, expiry: until, by })
    const doc: IssuedDoc = {
      ...{ id, role, serial, uuid, key: to.id, until, chain },
      ...(school === undefined ? {} : { school }),
      signedBy: ground?.key ?? '',
      issuedAt: this.#now().toISOString(),
    }
    await this.#keep(before, doc)
    return { line: lineOf(doc), until, wasKept: false }
  }

  #isFresh({ until, issuedAt }: IssuedDoc, wanted: Wanted): boolean {
    if (wanted.isFixed) return !isLater(wanted.until, until)
    const end = timeOf(until)
    return 2 * (end - this.#now().getTime()) > end - Date.parse(issuedAt)
  }

  async #keep(before: Stored<IssuedDoc> | undefined, doc: IssuedDoc): Promise<void> {
    if (before === undefined) await this.#issued.insert(doc)
    else await this.#issued.update(doc.id, before.rev, { ...doc, school: doc.school })
  }
}

/** Whether it would be signed with the same key today, and behind the same delegation. */
const isOn = ({ signedBy, chain }: IssuedDoc, ground: Ground | undefined): boolean =>
  signedBy === ground?.key && chain.startsWith(ground.chain === undefined ? 'sig02: ' : `${ground.chain} `)

const timeOf = (moment: Moment): number => parseMoment(moment)?.getTime() ?? Number.POSITIVE_INFINITY

const lineOf = ({ serial, uuid, chain }: IssuedDoc): string =>
  formatLine({ kind: 'delegation', serial, uuid, signature: parseSignature(chain) })
