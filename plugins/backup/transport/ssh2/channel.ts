import type { ServerChannel } from 'ssh2'

/**
 * Two things that ssh2 (1.17) leaves to whoever uses it. Both need what its channels carry without saying so in their
 * types: how many bytes the client still takes, and whether the channel is open.
 */
interface Innards {
  readonly outgoing: { readonly window: number; state: 'open' | 'eof' | 'closing' | 'closed' }
}

const innards = (channel: ServerChannel): Innards => channel as unknown as Innards

/**
 * Has a channel of a broken connection send nothing any more. Between the end of the connection and that of its
 * channels ssh2 throws on everything that is sent, from within streams, where nobody could catch it.
 */
export function silence(channel: ServerChannel): void {
  innards(channel).outgoing.state = 'closed'
}

/**
 * Says something on standard error, if the client takes it at once. ssh2 confuses standard output and error when the
 * latter has to wait: it would send a piece of the output twice.
 */
export function say(channel: ServerChannel, text: string): void {
  const { window, state } = innards(channel).outgoing
  if (text !== '' && state === 'open' && Buffer.byteLength(text) <= window) channel.stderr.write(text)
}
