import { extname } from 'node:path'
import { RequestError } from '../errors.js'

/** Numbers that are tried behind a name that is taken. */
const mostNumbers = 9999

/** What names have in common that a file system without regard to case, such as FAT, takes for one. */
export const foldedName = (name: string): string => name.normalize('NFC').toUpperCase().toLowerCase()

/** A name, or the same with a number before its ending: `song 2.txt`. @throws RequestError REFUSED when all are taken */
export function freeName(name: string, isFree: (name: string) => boolean): string {
  if (isFree(name)) return name
  const ending = extname(name)
  const stem = name.slice(0, name.length - ending.length)
  for (let number = 2; number <= mostNumbers; number += 1) {
    const found = `${stem} ${number}${ending}`
    if (isFree(found)) return found
  }
  throw new RequestError('REFUSED', `there are ${mostNumbers} files called ${name} already`, {
    hint: 'take another directory',
  })
}
