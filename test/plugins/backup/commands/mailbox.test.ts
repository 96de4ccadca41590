import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { Mailbox } from '../../../../plugins/backup/commands/mailbox.js'

async function textOf(stream: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += chunk.toString()
  return text
}

t.test('what was put in arrives, also where the work is known to be done before it', async (t) => {
  for (const isDone of [false, true]) {
    const mailbox = await Mailbox.open()
    t.teardown(() => mailbox.close())
    const socket = connect(mailbox.path)
    const packed = once(socket, 'close')
    const arriving = textOf(mailbox.arriving(isDone ? Promise.resolve() : packed))
    socket.end('a Journal')
    t.equal(await arriving, 'a Journal')
  }
})

t.test('work that fails before anything was put in is what is told', async (t) => {
  const mailbox = await Mailbox.open()
  t.teardown(() => mailbox.close())
  await t.rejects(textOf(mailbox.arriving(Promise.reject(new Error('no snapshot')))), /no snapshot/)
})

t.test('work that fails later fails what has come', async (t) => {
  const mailbox = await Mailbox.open()
  t.teardown(() => mailbox.close())
  const socket = connect(mailbox.path)
  const packing = once(socket, 'connect').then(() => {
    socket.end('half of it')
    throw new Error('a file is damaged')
  })
  packing.catch(() => undefined)
  await t.rejects(textOf(mailbox.arriving(packing)), /a file is damaged/)
})
