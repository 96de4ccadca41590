import type { Properties } from './properties.js'
import { textOf } from './text.js'

/**
 * Properties as Sugar hands them to its datastore, which takes texts without NUL only. ASCII, as Python writes JSON:
 * old laptops read it in whatever their locale is.
 * @param first texts that stand there where no property does
 * @param without keys that are left out
 */
export function propertiesJson(
  properties: Properties,
  first: Readonly<Record<string, string>>,
  without: ReadonlySet<string>,
): string {
  const texts = new Map(Object.entries(first))
  for (const [key, value] of properties) {
    if (!without.has(key))
      texts.set(textOf(Buffer.from(key, 'latin1')), textOf(value).replaceAll('\0', '\ufffd'))
  }
  return JSON.stringify(Object.fromEntries(texts)).replace(
    /[^\x00-\x7f]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
