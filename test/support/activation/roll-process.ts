import { Roll } from '../../../plugins/activation/roll/roll.js'
import { laptop, log, shelvesIn } from './activation-school.js'

/** Applies an import of so many laptops, and says when it begins and when it is done: to be killed in between. */
const [root = '', many = '', school = ''] = process.argv.slice(2)
const { shelves: store } = await shelvesIn(root)
const roll = await Roll.open({ config: { root }, store, log })
process.stdout.write('begun\n')
await roll.apply(
  Array.from({ length: Number(many) }, (_, index) => ({ serial: laptop(index).serial, laptop: { school } })),
)
process.stdout.write('done\n')
setInterval(() => undefined, 1000)
