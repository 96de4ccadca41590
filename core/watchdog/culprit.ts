import { fileURLToPath } from 'node:url'

/** Where the modules of a plugin lie. */
export interface Home {
  readonly plugin: string
  /** Its main module, as a URL. */
  readonly url: string
}

/** Who holds the event loop. */
export interface Culprit {
  readonly plugin: string | undefined
  /** `a route: greet (/srv/greeter.mjs:12)` */
  readonly where: string
}

/** What the frames above a plugin's own tell of how it was called. */
const callers: readonly [form: RegExp, what: string][] = [
  [/\/core\/kernel\/hooks\.js$/, 'a hook'],
  [/\/core\/http\/[\w-]+\.js$/, 'a route'],
  [/\/core\/control\/[\w-]+\.js$/, 'a command'],
  [/\/core\/repeat\.js$/, 'a repeated job'],
  [/\/core\/kernel\/(?:kernel|step)\.js$/, 'its start or stop'],
  [/^node:internal\/timers$/, 'a timer'],
]

/** A call that has not returned. */
export interface Frame {
  readonly functionName: string
  /** Of its module; `node:...` for Node's own. */
  readonly url: string
  /** From 0. */
  readonly lineNumber: number
}

/**
 * Finds in a stack whose code runs.
 * @param stack innermost first
 * @returns undefined when none of it is in a file
 */
export function culpritIn(stack: readonly Frame[], homes: readonly Home[]): Culprit | undefined {
  const owned = stack.findIndex(({ url }) => ownerOf(url, homes) !== undefined)
  const at = owned === -1 ? stack.findIndex(({ url }) => url.startsWith('file:')) : owned
  const frame = stack[at]
  if (frame === undefined) return undefined
  const how = stack.slice(at).flatMap(({ url }) => callers.find(([form]) => form.test(url))?.[1] ?? [])[0]
  const name = frame.functionName === '' ? 'a function without a name' : frame.functionName
  const place = `${name} (${pathOf(frame.url)}:${frame.lineNumber + 1})`
  return { plugin: ownerOf(frame.url, homes), where: how === undefined ? place : `${how}: ${place}` }
}

/** The plugin whose module it is, by the longest folder that fits. */
function ownerOf(url: string, homes: readonly Home[]): string | undefined {
  const exact = homes.find((home) => home.url === url)
  if (exact !== undefined) return exact.plugin
  const inside = homes.filter((home) => url.startsWith(folderOf(home.url)))
  return inside.sort((a, b) => b.url.length - a.url.length)[0]?.plugin
}

const folderOf = (url: string): string => url.slice(0, url.lastIndexOf('/') + 1)

function pathOf(url: string): string {
  try {
    return url.startsWith('file:') ? fileURLToPath(url) : url
  } catch {
    return url
  }
}
