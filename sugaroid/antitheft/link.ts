import { isMoment, type Moment } from './moment.js'

/** One signature. Facts: docs/reference/protocols.md: Anti-theft, Lines. */
export interface Link {
  readonly hash: string
  /** 64 hex digits, the id of a key, or 540, the key. */
  readonly key: string
  /** Only in a sig02. */
  readonly expiry?: Moment
  /** 512 hex digits. */
  readonly signature: string
}

/** A signature line: a sig01 has one link, a sig02 any number, each key delegated by the link before it. */
export interface SignatureLine {
  readonly kind: 'sig01' | 'sig02'
  readonly links: readonly [Link, ...Link[]]
}

const anyKey = /^(?:[0-9a-f]{64}|[0-9a-f]{540})$/
const wholeKey = /^[0-9a-f]{540}$/

function link(fields: readonly string[], kind: SignatureLine['kind'], key: RegExp): Link | undefined {
  const expiry = kind === 'sig02' ? fields[2] : undefined
  const [hash = '', keyhex = ''] = fields
  const signature = fields.at(-1) ?? ''
  const sound = /^[a-z0-9]{1,16}$/.test(hash) && key.test(keyhex) && /^[0-9a-f]{512}$/.test(signature)
  if (!sound || (expiry !== undefined && !isMoment(expiry))) return undefined
  return { hash, key: keyhex, signature, ...(expiry === undefined ? {} : { expiry }) }
}

/**
 * Reads `sig01: ...` or `sig02: ...` without its line end.
 * @param text of bounded length: no longer than a line may be
 * @returns undefined for what is written in any other way
 */
export function readSignatureLine(text: string): SignatureLine | undefined {
  const [, kind] = /^(sig01|sig02): /.exec(text) ?? []
  if (kind !== 'sig01' && kind !== 'sig02') return undefined
  const fields = text.slice('sig01: '.length).split(' ')
  const width = kind === 'sig01' ? 3 : 4
  if (fields.length % width !== 0 || (kind === 'sig01' && fields.length > width)) return undefined
  const links: Link[] = []
  for (let at = 0; at < fields.length; at += width) {
    const read = link(fields.slice(at, at + width), kind, at === 0 ? anyKey : wholeKey)
    if (!read) return undefined
    links.push(read)
  }
  const [first, ...more] = links
  return first && { kind, links: [first, ...more] }
}
