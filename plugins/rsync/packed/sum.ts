import { refusal, shown } from '../unpack/refusal.js'

/**
 * The sum of a file, from what md5sum(1) wrote: `<sum>  NAME` or `<sum> *NAME` a line, or the sum alone. Where it was
 * made, the file may have lain elsewhere.
 * @param file the name that it must be about
 * @returns in lower case
 * @throws RequestError
 */
export function sumIn(text: string, file: string): string {
  for (const line of text.split('\n')) {
    const [, sum, path] = /^([0-9a-fA-F]{32})(?: [ *](.{1,4096}))?$/.exec(line.replace(/\r$/, '')) ?? []
    if (sum === undefined) continue
    if (path === undefined || path === '-' || path.slice(path.lastIndexOf('/') + 1) === file)
      return sum.toLowerCase()
  }
  throw refusal(`${shown(`${file}.md5`)} does not say the md5 sum of ${shown(file)}`)
}
