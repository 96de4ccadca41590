import { join } from 'node:path'
import type { BuildDoc } from '../documents.js'
import type { Limits } from '../unpack/limits.js'
import { flushTree } from './disk.js'
import type { Draft } from './draft.js'
import { examine } from './foreign.js'
import { manifest } from './layout.js'
import { giveLooks } from './making.js'
import { digestOf } from './manifest.js'

/** A build as another server sent it. */
export interface Sent {
  readonly name: string
  readonly directory: string
  readonly from: string
}

/**
 * Makes a draft of a build that is unpacked already. It is moved when all else is done: until then, when anything fails,
 * and when the server ends, it is where it was, for who fetched it may want to go on with it.
 * @throws RequestError REQUEST_INVALID; SystemError NO_SPACE, NOT_WRITABLE; the reason of the signal
 */
export async function adopt(
  draft: Draft,
  { name, directory, from }: Sent,
  limits: Limits,
  signal: AbortSignal,
): Promise<BuildDoc> {
  const sum = await examine(directory, limits, signal)
  await giveLooks(directory, 'attributes', signal)
  const digest = await digestOf(join(directory, manifest))
  await flushTree(directory, signal)
  const build = { name, digest, ...sum, publishedAt: new Date().toISOString(), from }
  await draft.takeIn(directory, build)
  return build
}
