import { buildName } from '../public.js'
import { refusal, shown } from '../unpack/refusal.js'

/**
 * The name under which a build is published: the first line of its file.
 * @throws RequestError for what is no name of a build
 */
export function nameIn(text: string, file: string): string {
  const end = text.indexOf('\n')
  const line = text.slice(0, end === -1 ? undefined : end).replace(/\r$/, '')
  if (buildName.test(line)) return line
  throw refusal(`${file} says ${shown(line)}, and no build can be called so`)
}
