const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i
const uidForm = /^[0-9a-f]{40}$/i
const serialForm = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/
const digestForm = /^[0-9a-f]{64}$/i

/** By what name a laptop asks: the uuid it registered with (or its learner's uid), or the serial. */
export type Form = 'uuid' | 'serial'

/** May this laptop back up now? Texts as they came. */
export interface Question {
  readonly who: string
  readonly form: Form
  /** sha256 of its Journal, in hex: "perhaps you have this already". */
  readonly digest?: string | undefined
  /** The laptop's network address. */
  readonly address: string
  /** Only asks: nothing is reserved, queued or counted. */
  readonly peek?: boolean
}

/** A question whose texts are what they should be. */
export interface Sound {
  /** As the laptop wrote it. */
  readonly who: string
  readonly form: Form
  /** One text for all spellings of one name. A uuid is a secret: not for logs. */
  readonly word: string
  readonly digest: string | undefined
}

/** @returns undefined when it is malformed */
export function parseQuestion({ who, form, digest }: Question): Sound | undefined {
  const named = form === 'serial' ? serialForm.test(who) : uuidForm.test(who) || uidForm.test(who)
  if (!named || (digest !== undefined && !digestForm.test(digest))) return undefined
  return { who, form, word: `${form} ${who.toLowerCase()}`, digest: digest?.toLowerCase() }
}
