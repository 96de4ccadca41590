import { basename } from 'node:path'
import type { Call } from '../../../core/api.js'
import type { Service } from '../service.js'

/** `rsync publish DIR --as NAME` */
export async function publish(
  { modules, log }: Pick<Service, 'modules' | 'log'>,
  call: Pick<Call, 'print' | 'note' | 'signal'> & { args: { dir: string }; options: { as: string } },
): Promise<void> {
  const { args, options, print, note, signal } = call
  const name = options.as === '' ? basename(args.dir) : options.as
  const path = await modules.publishDirectory(name, args.dir)
  log.info({ module: name, path }, `${path} was published as ${name}`)
  print(`${path} is published as ${name}`)
  await modules.lookForWaysOut(signal)
  for (const wayOut of modules.waysOut(name)) note(wayOut)
}
