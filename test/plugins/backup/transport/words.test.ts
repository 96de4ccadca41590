import fc from 'fast-check'
import t from 'tap'
import { harmlessWords } from '../../../../plugins/backup/transport/words.js'

t.test('a laptop is told how rsync ended and what the system said, and no names', async (t) => {
  const ended =
    'rsync error: some files/attrs were not transferred (see previous errors) (code 23) at main.c(1338) [sender=3.2.7]'
  t.equal(
    harmlessWords('rsync error: error in file IO (code 11) at receiver.c(380) [receiver=3.2.7]\n'),
    'rsync error: error in file IO (code 11) at receiver.c(380) [receiver=3.2.7]\n',
  )
  t.equal(harmlessWords(`${ended}\n`), `${ended}\n`)
  t.equal(
    harmlessWords('rsync: [receiver] write failed on "/srv/u/a/data": No space left on device (28)\nx\n'),
    'rsync: write: No space left on device (28)\n',
  )
  t.equal(
    harmlessWords('rsync: [generator] mkdir "/srv/u/datastore-current" failed: Permission denied (13)\n'),
    'rsync: mkdir: Permission denied (13)\n',
  )
})

t.test('lines that may hold what stands in a file are kept back', async (t) => {
  for (const line of [
    "Unknown filter rule: `secret'",
    "invalid modifier 's' at position 1 in filter rule: secret",
    'rsync: [sender] failed to open exclude file /secret: No such file or directory (2)',
    '[sender] add_rule(- secret)',
    '[sender] hiding file a because of pattern secret',
    'overlong filter: secret',
  ]) {
    t.equal(harmlessWords(`${line}\n`), '', line)
  }
  fc.assert(
    fc.property(fc.string(), (secret) => {
      const said = harmlessWords(`Unknown filter rule: \`${secret.replaceAll('\n', ' ')}'\n`)
      return said === ''
    }),
  )
})
