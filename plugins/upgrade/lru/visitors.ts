/** Who fetches what now, by the news of rsync. */
export class Visitors {
  readonly #addresses = new Map<string, string[]>()

  came(module: string, address: string): void {
    this.#addresses.set(module, [...(this.#addresses.get(module) ?? []), address])
  }

  left(module: string, address: string): void {
    const here = this.#addresses.get(module) ?? []
    const at = here.indexOf(address)
    const others = here.filter((_, index) => index !== at)
    if (others.length > 0) this.#addresses.set(module, others)
    else this.#addresses.delete(module)
  }

  /** Addresses, each once. */
  of(module: string): string[] {
    return [...new Set(this.#addresses.get(module))]
  }
}
