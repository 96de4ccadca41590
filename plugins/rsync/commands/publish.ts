import { basename } from 'node:path'
import type { Call } from '../../../core/api.js'
import type { Service } from '../service.js'

/** `rsync publish DIR --as NAME` */
export async function publish(
  { modules, log }: Pick<Service, 'modules' | 'log'>,
  { args, options, print }: Pick<Call, 'print'> & { args: { dir: string }; options: { as: string } },
): Promise<void> {
  const name = options.as === '' ? basename(args.dir) : options.as
  const path = await modules.publishDirectory(name, args.dir)
  log.info({ module: name, path }, `${path} was published as ${name}`)
  print(`${path} is published as ${name}`)
}
