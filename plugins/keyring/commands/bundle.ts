import { ZipFile } from 'yazl'
import { type Call, RequestError } from '../../../core/api.js'
import type { Service } from '../service.js'
import type { Hash } from '../wire/signature.js'
import { onlyFile, operator } from './input.js'

type Bundle = Pick<Call, 'files' | 'deliver' | 'print'> & { options: { as: 'os' | 'fw'; to: string } }

/** Lines of `data.sig`: firmware is checked with both. Source: docs/reference/protocols.md: Anti-theft, Keys. */
const hashes: Readonly<Record<Bundle['options']['as'], readonly Hash[]>> = {
  os: ['sha256'],
  fw: ['sha256', 'rmd160'],
}

/** Local time, which is what a zip holds: the same bytes wherever it is made. */
const mtime = new Date(1980, 0, 1)

/** `keyring bundle FILE --as os|fw --to ZIP`: a zip of `data.sig` and `data.img`, as they are. */
export async function bundle({ records }: Service, call: Bundle): Promise<void> {
  const { as, to } = call.options
  if (to === '') throw new RequestError('USAGE', 'bundle needs --to', { hint: 'name the zip file to write' })
  const image = await onlyFile(call)
  const lines: string[] = []
  for (const hash of hashes[as])
    lines.push(`${await records.file(image, { role: as, hash, by: operator })}\n`)
  const zip = new ZipFile()
  const stored = { mtime, mode: 0o100644, compress: false, forceDosTimestamp: true }
  zip.addBuffer(Buffer.from(lines.join('')), 'data.sig', stored)
  zip.addBuffer(image, 'data.img', stored)
  zip.end()
  await call.deliver({ to, form: 'file' }, zip.outputStream as AsyncIterable<Uint8Array>)
  call.print(`${to}: data.img of ${image.length} bytes, signed as ${as}`)
}
