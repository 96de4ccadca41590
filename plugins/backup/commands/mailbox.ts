import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** Where the archive's process puts what it has packed: a unix socket of this user's alone, for one parcel. */
export class Mailbox {
  readonly path: string
  readonly #folder: string
  readonly #server: Server
  readonly #coming: Promise<Socket>

  static async open(): Promise<Mailbox> {
    // Not in the root: the path of a socket may have 107 bytes.
    const mailbox = new Mailbox(await mkdtemp(join(tmpdir(), 'sugar-restore-')))
    mailbox.#server.listen(mailbox.path)
    await once(mailbox.#server, 'listening')
    return mailbox
  }

  private constructor(folder: string) {
    this.#folder = folder
    this.path = join(folder, 'socket')
    this.#server = createServer()
    this.#coming = new Promise((resolve) => this.#server.once('connection', resolve))
  }

  /**
   * What is put in.
   * @param packing the work that puts it in; what stops that, stops this
   */
  async *arriving(packing: Promise<unknown>): AsyncGenerator<Buffer> {
    // The end of the work may be heard of before the connection over which all of it came; its failure comes alone.
    yield* await Promise.race([this.#coming, packing.then(() => this.#coming)])
    // That the stream has ended says nothing of whether all was well.
    await packing
  }

  async close(): Promise<void> {
    this.#server.close()
    await rm(this.#folder, { recursive: true, force: true })
  }
}
