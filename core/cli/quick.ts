import { existsSync } from 'node:fs'

const name = /^[a-z]+(-[a-z]+)*$/

/**
 * Runs one of a plugin's quick programs: `PLUGIN WORD ...` is `plugins/PLUGIN/doors/WORD.js` of this package, which
 * exports `main(args): Promise<number>`.
 *
 * They are for what other programs start by the hundred, as sshd does for each laptop that comes: such a program must
 * not pay for reading settings, plugins and a command line, nor be found by --help by people, for whom it is not.
 * @returns its exit code; undefined when there is none of this name
 */
export async function quick([plugin = '', word = '', ...args]: readonly string[]): Promise<
  number | undefined
> {
  if (!name.test(plugin) || !name.test(word)) return undefined
  const door = new URL(`../../plugins/${plugin}/doors/${word}.js`, import.meta.url)
  if (!existsSync(door)) return undefined
  const { main } = (await import(door.href)) as { main?: (args: readonly string[]) => Promise<number> }
  return main?.(args)
}
