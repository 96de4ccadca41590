import { verify } from 'node:crypto'
import type { PublicKey } from '../wire/key.js'
import { digests, isSignedBy, type Mark, pss } from '../wire/signature.js'

/** Bytes from which on the event loop would wait for long while they are hashed. */
const long = 1 << 18

/** Whether a key made a signature over a payload; over long ones it is looked for in the pool of threads. */
export function isVerified(key: PublicKey, mark: Mark, payload: Buffer): boolean | Promise<boolean> {
  if (payload.length < long) return isSignedBy(key, mark, payload)
  const how = { key: key.object, ...pss }
  return new Promise((resolve, reject) => {
    verify(digests[mark.hash], payload, how, Buffer.from(mark.signature, 'hex'), (error, holds) => {
      if (error === null) resolve(holds)
      else reject(error)
    })
  })
}
