import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { datastoreOf, type Identity, makeJournal } from '../../sugaroid/index.js'
import { Sshd } from '../peers/sshd.js'
import { Peaks } from '../support/peaks.js'
import { School } from './school.js'

/** The Journal of a child at the end of its school years. */
export const large = { entries: 2000, megabytes: 300 }

/** What the parts of the bench share: the servers, and a laptop with a large Journal. */
export class Stage {
  readonly folder: string
  readonly rounds: number
  readonly school: School
  readonly sshd: Sshd
  readonly peaks: Peaks
  /** MB that an archive without its server had resident. */
  archivePeak = 0
  #owner: Promise<Identity> | undefined
  #sent: Promise<unknown> | undefined

  private constructor(folder: string, rounds: number, school: School, sshd: Sshd) {
    this.folder = folder
    this.rounds = rounds
    this.school = school
    this.sshd = sshd
    this.peaks = new Peaks(school.pid)
  }

  /** @param where a directory, in which one is made for all there is to write */
  static async open(where: string, rounds: number): Promise<Stage> {
    const folder = await mkdtemp(join(where, 'sugar-bench-'))
    const sshd = await Sshd.open(join(folder, 'sshd'))
    const school = await School.open(join(folder, 'root'))
    return new Stage(folder, rounds, school, sshd)
  }

  /** A new laptop, known to both servers. */
  async laptop(name: string): Promise<Identity> {
    const laptop = await this.school.register(join(this.folder, 'laptops', name))
    await this.sshd.admit(laptop.keyFile)
    return laptop
  }

  /** The laptop with the large Journal. */
  owner(): Promise<Identity> {
    this.#owner ??= this.#make()
    return this.#owner
  }

  /** Where its Journal is, on the laptop. */
  async journal(): Promise<string> {
    return datastoreOf((await this.owner()).home)
  }

  /** Where the peer has it. */
  get mirror(): string {
    return join(this.folder, 'mirror')
  }

  /** Sees to it that both servers have the large Journal. */
  async sent(): Promise<void> {
    this.#sent ??= this.#send()
    await this.#sent
  }

  async close(): Promise<void> {
    this.peaks.end()
    await Promise.all([this.school.close(), this.sshd.close()])
    await rm(this.folder, { recursive: true, force: true })
  }

  async #make(): Promise<Identity> {
    const owner = await this.laptop('owner')
    await makeJournal(datastoreOf(owner.home), large)
    return owner
  }

  async #send(): Promise<void> {
    const owner = await this.owner()
    const journal = await this.journal()
    await this.sshd.send(owner.keyFile, journal, this.mirror)
    await this.school.send(owner, journal)
    await this.school.settle(owner)
  }
}
