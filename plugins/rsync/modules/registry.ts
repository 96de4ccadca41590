import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { type Collection, each, type Logger, makeFolder, RequestError } from '../../../core/api.js'
import type { PublishedDoc } from '../documents.js'
import type { Client, Module, Modules, Provider } from '../public.js'
import { checkModule, checkPath } from './check.js'
import { directoryOf } from './directory.js'
import { Folders } from './folders.js'
import { Lookout } from './lookout.js'
import { isAlike, isModuleName, isReserved } from './names.js'
import { SystemFile } from './system-file.js'

export interface RegistryParts {
  /** The server's own directory. */
  readonly root: string
  /** `rsync-root`. */
  readonly folder: string
  readonly published: Collection<PublishedDoc>
  /** @throws SystemError when `rsync-root` is not there */
  readonly check?: () => void
  readonly log: Logger
}

/** Who says what a name stands for. */
export type Origin = 'plugin' | 'operator' | 'pub'

/**
 * All modules: those of plugins, those that operators published, and the directories below `pub`. A name belongs to
 * who had it first; only he can have it stand for something else.
 */
export class Registry implements Modules {
  readonly pub: string
  readonly #parts: RegistryParts
  readonly #folders: Folders
  readonly #file: SystemFile
  readonly #lookout: Lookout
  readonly #byPlugin = new Map<string, Module>()
  readonly #byOperator = new Map<string, Module>()
  readonly #providers = new Set<Provider>()
  readonly #visits = new Map<string, number>()
  #isNoted = false

  /** @throws RequestError when `rsync-root` cannot be written into an rsyncd.conf */
  static async open(parts: RegistryParts): Promise<Registry> {
    checkPath(parts.folder)
    const registry = new Registry(parts)
    for await (const { name, path } of each(parts.published)) {
      registry.#byOperator.set(name, { name, path, comment: '', owners: 'files' })
    }
    await makeFolder(registry.pub)
    return registry
  }

  private constructor(parts: RegistryParts) {
    this.#parts = parts
    this.pub = join(parts.folder, 'pub')
    this.#folders = new Folders(this.pub)
    this.#lookout = new Lookout(this.pub)
    this.#file = new SystemFile(join(parts.folder, 'rsyncd.conf'), parts.log)
  }

  list(): readonly Module[] {
    return firstOf(this.#claims()).sort((a, b) => (a.name < b.name ? -1 : 1))
  }

  get(name: string): Module | undefined {
    return this.list().find((module) => module.name === name)
  }

  originOf(name: string): Origin | undefined {
    if (this.#byPlugin.has(name)) return 'plugin'
    if (this.#byOperator.has(name)) return 'operator'
    return this.get(name) === undefined ? undefined : 'pub'
  }

  async publish(module: Module): Promise<void> {
    checkModule(module)
    this.#mayHave(module.name, 'plugin')
    this.#byPlugin.set(module.name, module)
    await this.#changed()
  }

  async withdraw(name: string): Promise<boolean> {
    const wasThere = this.#byPlugin.delete(name)
    if (wasThere) await this.#changed()
    return wasThere
  }

  provide(provider: Provider): () => void {
    this.#providers.add(provider)
    return () => this.#providers.delete(provider)
  }

  active(name: string): number {
    return this.#visits.get(name) ?? 0
  }

  /** Whether somebody may make a module of this name. */
  isProvided(name: string): boolean {
    return this.#providers.size > 0 && isModuleName(name)
  }

  /** Has a module made. @throws RequestError of the one who makes it */
  async make(name: string, client: Client): Promise<Module | undefined> {
    for (const provider of this.#providers) {
      if (await provider(name, client)) return this.get(name)
    }
    return undefined
  }

  /** Counts a transfer. @returns a function to call at its end */
  enter(name: string): () => void {
    this.#visits.set(name, this.active(name) + 1)
    return () => {
      const others = this.active(name) - 1
      if (others > 0) this.#visits.set(name, others)
      else this.#visits.delete(name)
    }
  }

  /**
   * Publishes a directory for an operator, and keeps it published.
   * @returns the directory, without links in its path
   * @throws RequestError
   */
  async publishDirectory(name: string, wanted: string): Promise<string> {
    const path = await directoryOf(wanted, { root: this.#parts.root, pub: this.pub })
    const module: Module = { name, path, comment: '', owners: 'files' }
    checkModule(module)
    if (isReserved(name)) {
      throw new RequestError('REFUSED', `the name ${name} is kept for builds`, {
        hint: 'choose another name with --as',
      })
    }
    this.#mayHave(name, 'operator')
    const { published } = this.#parts
    const known = await published.get(name)
    if (known === undefined) await published.insert({ name, path })
    else await published.update(name, known.rev, { path })
    this.#byOperator.set(name, module)
    this.#lookout.forget(path)
    await this.#changed()
    return path
  }

  /** @returns whether an operator had published it */
  async withdrawDirectory(name: string): Promise<boolean> {
    if (!this.#byOperator.has(name)) return false
    await this.#parts.published.remove(name)
    this.#byOperator.delete(name)
    await this.#changed()
    return true
  }

  /** Directories that are published and are not there. */
  gone(): readonly Module[] {
    return [...this.#byOperator.values(), ...this.#byPlugin.values()].filter(({ path }) => !existsSync(path))
  }

  /** What is not served although it lies below `pub` or was published, with the reason. */
  passedOver(): readonly string[] {
    const claims = [...this.#claims()]
    const served = new Set(firstOf(claims))
    const hidden = claims
      .filter((module) => !served.has(module))
      .map(({ name, path }) =>
        path === join(this.pub, name)
          ? `pub/${name} is not served: another directory is published under that name`
          : `${name} is not served: rsync takes its name for that of another module`,
      )
    return [...this.#folders.passedOver, ...hidden]
  }

  /** Looks for links that lead out of what is published. @param signal gives it up */
  lookForWaysOut(signal: AbortSignal): Promise<void> {
    return this.#lookout.look(this.list(), signal)
  }

  /** Links that lead out of a module, as found when it was last looked through; one sentence each. */
  waysOut(name: string): readonly string[] {
    const module = this.get(name)
    return module === undefined ? [] : this.#lookout.sentences(module)
  }

  /** What an operator should know of what is published, and of what is not; one sentence each. */
  notes(): readonly string[] {
    const waysOut = this.list().flatMap((module) => this.#lookout.sentences(module))
    return [...this.passedOver(), ...waysOut]
  }

  /** Has the file for the daemon of the system say what is published, from now on at each change. */
  async note(): Promise<void> {
    this.#isNoted = true
    if (this.#isThere()) await this.#file.write(this.list())
  }

  /** What is wrong with what is published, if anything is. */
  problem(): string | undefined {
    const [gone] = this.gone()
    if (gone !== undefined) return `${gone.path} is published as ${gone.name} and is not there`
    return this.#file.problem
  }

  /** All that might be served, who comes first first. */
  *#claims(): Generator<Module> {
    yield* this.#byPlugin.values()
    yield* this.#byOperator.values()
    yield* this.#folders.list()
  }

  #isThere(): boolean {
    try {
      this.#parts.check?.()
      return true
    } catch {
      return false
    }
  }

  /** While a server starts, its many builds come one by one. */
  async #changed(): Promise<void> {
    if (this.#isNoted) await this.note()
  }

  #mayHave(name: string, origin: Origin): void {
    const one = this.list().find((module) => isAlike(module.name, name))
    if (one === undefined) return
    const has = this.originOf(one.name)
    // Of what plugins publish, the second is passed over: it may be refused no more when it is on the disk already.
    if (has === origin && (one.name === name || origin === 'plugin')) return
    const words =
      one.name === name ? 'it stands for' : `${one.name}, which rsync takes for the same, stands for`
    throw new RequestError('REFUSED', `the name ${name} is taken: ${words} ${one.path}`, {
      hint: has === 'operator' ? `run "rsync withdraw ${one.name}" first` : 'choose another name with --as',
    })
  }
}

/** Of those that rsync takes for one, the first. */
function firstOf(claims: Iterable<Module>): Module[] {
  const all = new Map<string, Module>()
  for (const module of claims) {
    const key = module.name.toLowerCase()
    if (!all.has(key)) all.set(key, module)
  }
  return [...all.values()]
}
