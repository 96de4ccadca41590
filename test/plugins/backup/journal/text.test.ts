import fc from 'fast-check'
import t from 'tap'
import { folded, secondsOf, secondsOfIso, textOf } from '../../../../plugins/backup/journal/text.js'

t.test('bytes become well-formed text, cut between characters', async (t) => {
  t.equal(textOf(Buffer.from('año'), 2), 'a')
  t.equal(textOf(Buffer.from('año'), 3), 'añ')
  t.equal(textOf(Buffer.from('🎈🎈'), 7), '🎈')
  t.equal(
    textOf(Buffer.from([0x61, 0xed, 0xa0, 0x80, 0x62])),
    'a\ufffd\ufffd\ufffdb',
    'a surrogate is no text',
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), fc.nat(70), (bytes, limit) =>
      textOf(bytes, limit).isWellFormed(),
    ),
  )
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), fc.nat(200), (text, limit) => {
      const bytes = Buffer.from(text)
      return textOf(bytes) === text && text.startsWith(textOf(bytes, limit))
    }),
  )
})

t.test('searching knows no case and no accents, but the vowels of every script', async (t) => {
  t.equal(folded('ÁRBOL Ñandú'), folded('a\u0301rbol nandu'))
  t.equal(folded('ﬁn'), 'fin')
  t.not(folded('कि'), folded('का'), 'signs of Devanagari are vowels')
})

t.test('times are read as Sugar wrote them, and nothing else is a time', async (t) => {
  t.equal(secondsOf('1234567890'), 1234567890)
  t.equal(secondsOf(' 1234567890.75\n'), 1234567890)
  for (const none of ['', 'x', '-5', 'NaN', '1e9', '0x10', '9'.repeat(13)]) t.equal(secondsOf(none), 0, none)
  t.equal(secondsOfIso('2009-02-13T23:31:30.123456'), 1234567890)
  for (const none of ['', '2009-02-13', '2009-99-99T99:99:99', '1960-01-01T00:00:00'])
    t.equal(secondsOfIso(none), 0, none)
})
