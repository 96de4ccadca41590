import { RequestError } from '../../../core/api.js'
import { buildName } from '../public.js'
import { shown } from '../unpack/refusal.js'

/**
 * The name under which a build is published: the first line of its file.
 * @throws RequestError for what is no name of a build
 */
export function nameIn(text: string, file: string): string {
  const end = text.indexOf('\n')
  // Windows puts a mark in front of texts, and CRs behind lines.
  const line = text.slice(0, end === -1 ? undefined : end).replace(/^\xef\xbb\xbf|\r$/g, '')
  if (buildName.test(line)) return line
  throw new RequestError('REQUEST_INVALID', `${file} says ${shown(line)}, and no build can be called so`, {
    hint: 'write one name into it: 1 to 64 letters, digits, and . _ + - behind the first',
  })
}
