/** The peer of the bench "register": koa and the package xmlrpc, and nothing kept. */
import type { IncomingMessage } from 'node:http'
import Koa from 'koa'
import Deserializer from 'xmlrpc/lib/deserializer.js'
import serializer from 'xmlrpc/lib/serializer.js'

const decode = (request: IncomingMessage): Promise<unknown[]> =>
  new Promise((resolve, reject) => {
    new Deserializer('utf8').deserializeMethodCall(request as never, (error, _method, params) => {
      if (error) reject(error)
      else resolve(params)
    })
  })

const app = new Koa()
app.use(async (ctx) => {
  const [serial] = await decode(ctx.req)
  ctx.type = 'text/xml'
  ctx.body = serializer.serializeMethodResponse({
    success: 'OK',
    backupurl: `${String(serial)}@schoolserver:backup`,
    jabberserver: 'schoolserver',
    backuppath: `/library/users/${String(serial)}`,
  })
})
app.listen(Number(process.argv[2]), '127.0.0.1', () => process.stdout.write('ready\n'))
