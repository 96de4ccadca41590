import { type Bindable, bind, hostOf, portOf } from './bind.js'

/** One socket of the house that listens, whatever is spoken behind it. */
export interface Door {
  /** The options that hold its port. */
  readonly options: readonly string[]
  /** Whom it serves; a door that serves nobody is not opened. */
  readonly plugins: ReadonlySet<string>
  readonly address: { host: string; port: number }
  /** @throws SystemError PORT_BUSY, PORT_REFUSED */
  open(setting: string): Promise<void>
  /** Takes no new work, and waits for what is under way. @param signal gives up waiting */
  drain(signal: AbortSignal): Promise<void>
  release(plugin: string): void
}

/** A door behind which a plugin's own server speaks: ssh, rsync, activation. */
export class ServerDoor implements Door {
  readonly options: readonly string[]
  readonly #plugins: Set<string>
  readonly #server: Bindable
  readonly #host: string | undefined
  readonly #port: number
  #isOpen = false

  /** @param host undefined: every address, as bind() says */
  constructor(plugin: string, option: string, server: Bindable, host: string | undefined, port: number) {
    this.#plugins = new Set([plugin])
    this.options = [option]
    this.#server = server
    this.#host = host
    this.#port = port
  }

  get plugins(): ReadonlySet<string> {
    return this.#plugins
  }

  get address(): { host: string; port: number } {
    return { host: this.#host ?? hostOf(this.#server), port: portOf(this.#server, this.#port) }
  }

  async open(setting: string): Promise<void> {
    await bind(this.#server, this.#host, this.#port, setting)
    this.#isOpen = true
  }

  /** Connections under way are the plugin's, which hears of the drain itself. */
  async drain(): Promise<void> {
    this.#close()
  }

  release(plugin: string): void {
    this.#plugins.delete(plugin)
    this.#close()
  }

  #close(): void {
    if (this.#isOpen) this.#server.close()
    this.#isOpen = false
  }
}
