import { RequestError } from '../../../core/api.js'
import { homeOfXo } from '../journal/home.js'

/** What is asked of `backup restore`. */
export interface RestoreOptions {
  readonly at: string
  readonly entry: readonly string[]
  readonly to: string
  readonly documents: boolean
  readonly form: 'auto' | 'stick'
  readonly home: string
}

/** @throws RequestError USAGE when options do not go together */
export function checkOptions({ to, entry, documents, form, home }: RestoreOptions): void {
  if (to === '') {
    throw new RequestError('USAGE', 'restore needs --to', {
      hint: 'name a new directory; a stick, with --form stick; or a file that ends in .xob or .xoj',
    })
  }
  if (documents && (entry.length > 0 || form === 'stick'))
    throw new RequestError('USAGE', 'entries are of the Journal, and --documents is not', {
      hint: 'use --documents alone, with a new directory',
    })
  if (form === 'auto' && /\.(?:xo[bj]|tar|t?gz|zip)$/i.test(to) && !/\.xo[bj]$/.test(to)) {
    throw new RequestError('USAGE', `${to} looks like a file, and is not one that can be made`, {
      hint: 'let it end in .xob or .xoj, or name a directory',
    })
  }
  if (home !== '' && !(form === 'auto' && to.endsWith('.xob'))) {
    throw new RequestError('USAGE', '--home is for a .xob file', { hint: 'use it with --to FILE.xob' })
  }
}

/** What the operator must know of a form before it is carried to a laptop (docs/reference/protocols.md: backup). */
export function warningsOf({ to, form, home }: RestoreOptions): string[] {
  if (form === 'stick') {
    return [
      'everybody who has the stick can read these files',
      `on the laptop: open the stick in the Journal, and drag the entries into it; Sugar finds their titles only if ${to} is the top of the stick`,
    ]
  }
  if (to.endsWith('.xob')) {
    return [
      `this file is for a laptop whose account has the home ${home || homeOfXo}; with any other, Sugar empties the Journal and fails. --home names another`,
      'Sugar 0.116 and later empty the Journal and then fail on every .xob file. For them use --form stick, or rsync from the laptop (current, snapshots/DATE)',
    ]
  }
  if (to.endsWith('.xoj')) {
    return [
      'Sugar 0.101.2 and later restore the title of a .xoj file and lose its content. For them use --form stick',
    ]
  }
  return []
}
