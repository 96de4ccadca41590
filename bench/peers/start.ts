/** The peer of the bench "start": bare koa, tsyringe and NeDB with the same file of users. */
import 'reflect-metadata'
import Koa from 'koa'
import Datastore from 'nedb-promises'
import { container } from 'tsyringe'

const [, , port, file = ''] = process.argv
const users = Datastore.create({ filename: file })
await users.load()
container.registerInstance('users', users)
const app = new Koa()
app.use(async (ctx) => {
  ctx.body = await container.resolve<typeof users>('users').count({})
})
app.listen(Number(port), '127.0.0.1', () => process.stdout.write('ready\n'))
