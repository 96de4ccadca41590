import type { Call } from '../../../core/api.js'

/** Characters that go out at a time. */
const chunk = 1 << 16

/** Hands lines over, each with its line end: to a new file, or to standard output when none was named. */
export async function handOver(
  { deliver, write }: Pick<Call, 'deliver' | 'write'>,
  to: string,
  lines: Iterable<string>,
): Promise<void> {
  if (to === '') for (const text of chunks(lines)) write(text)
  else await deliver({ to, form: 'file' }, bytesOf(lines))
}

async function* bytesOf(lines: Iterable<string>): AsyncGenerator<Uint8Array> {
  for (const text of chunks(lines)) yield Buffer.from(text)
}

function* chunks(lines: Iterable<string>): Generator<string> {
  let text = ''
  for (const line of lines) {
    text += line
    if (text.length < chunk) continue
    yield text
    text = ''
  }
  if (text !== '') yield text
}
