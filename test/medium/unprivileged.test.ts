import '../support/unprivileged.js'
import { chmod } from 'node:fs/promises'
import t from 'tap'
import type { RequestError } from '../../core/api.js'
import { PlainFile } from '../../core/medium/plain-file.js'
import { limit, open, refusal, stickWith } from '../support/core/signed-stick.js'

t.test(
  'a stick that this user may not read, and one that the system cannot, say which they are',
  async (t) => {
    const stick = await stickWith(t, { 'leases.sig': 'act01' })
    await chmod(stick, 0)
    try {
      t.equal(await refusal(open(stick)), `REFUSED: ${stick} cannot be read (EACCES)`)
      const hint = await open(stick).catch(({ hint }: RequestError) => hint)
      t.match(hint, 'mount the stick')
    } finally {
      await chmod(stick, 0o700)
    }
    // Where nothing is mapped, reading fails as a bad sector does.
    const memory = await PlainFile.open('/proc/self/mem', limit)
    t.teardown(() => memory.close())
    t.equal(await refusal(memory.whole()), 'DAMAGED: /proc/self/mem cannot be read (EIO)')
  },
)
