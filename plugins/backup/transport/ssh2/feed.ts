import type { Readable, Writable } from 'node:stream'

/** Bytes that rsync has not read yet beyond which the client waits. */
const mostUnread = 1 << 20

/**
 * Passes what a client sends to rsync, to the end. What comes at once is written at once: a packet of ssh alone is
 * so small that the writes would cost as much as its decryption. What rsync does not take any more is dropped, so that
 * the channel can close.
 */
export function feed(channel: Readable, rsync: Writable): void {
  let isGathering = false
  const pour = () => {
    isGathering = false
    rsync.uncork()
  }
  channel.on('data', (piece: Buffer) => {
    if (!rsync.writable) return
    if (!isGathering) {
      isGathering = true
      rsync.cork()
      setImmediate(pour)
    }
    rsync.write(piece)
    if (rsync.writableLength > mostUnread) channel.pause()
  })
  channel.once('end', () => rsync.end())
  const flow = () => void channel.resume()
  // rsync may end before it has read everything.
  rsync.on('drain', flow).on('error', flow).once('close', flow)
}
