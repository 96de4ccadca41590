import fc from 'fast-check'
import t from 'tap'
import { below, bytesOf, isInside, staysInside } from '../../../../plugins/backup/journal/path.js'

t.test('a link stays inside wherever its folder is, and however links are chained', async (t) => {
  for (const [path, target, inside] of [
    ['a', 'b', true],
    ['a/b', '../c/./d', true],
    ['a/b', '..', true],
    ['a', '.', true],
    ['a', '..', false],
    ['a/b/c', '../../..', false],
    ['a', '/b', false],
    ['a', '', false],
    ['a', 'b\0', false],
    ['a', 'b/../c', false],
  ] as const)
    t.equal(staysInside({ path, target }), inside, JSON.stringify([path, target]))
  const part = fc.constantFrom('..', '.', 'a', 'b', '')
  const parts = fc.array(part, { maxLength: 6 }).map((all) => all.join('/'))
  fc.assert(
    fc.property(parts, parts, (path, target) => {
      if (!staysInside({ path, target })) return true
      const depth = path.split('/').length - 1
      return depth - target.split('/').filter((each) => each === '..').length >= 0
    }),
  )
  fc.assert(
    fc.property(parts, (path) => {
      const sound = path !== '' && path.split('/').every((each) => each === 'a' || each === 'b')
      try {
        bytesOf(path)
        return sound
      } catch {
        return !sound
      }
    }),
  )
})

t.test('a path is below its top, with its very bytes, or refused', async (t) => {
  t.strictSame(below('/top', ''), Buffer.from('/top'))
  t.strictSame(
    below('/tóp', 'ni\xf1o/x'),
    Buffer.concat([Buffer.from('/tóp/ni'), Buffer.from([0xf1]), Buffer.from('o/x')]),
  )
  t.throws(() => below('/top', '../x'), { code: 'DAMAGED' })
  t.ok(isInside('') && isInside('x'.repeat(4096)))
  for (const path of ['x'.repeat(4097), 'a\n/..', '/', 'a\0']) t.notOk(isInside(path))
})
