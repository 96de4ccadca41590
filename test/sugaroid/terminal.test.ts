import t from 'tap'
import { openTerminal } from '../../sugaroid/terminal.js'

function sheet(columns?: number) {
  const stream = {
    text: '',
    isTTY: columns !== undefined,
    ...(columns !== undefined && { columns }),
    write(text: string) {
      stream.text += text
    },
  }
  return stream
}

t.test('a log is told how far something is when nothing was said for five seconds', async (t) => {
  const [out, err] = [sheet(), sheet()]
  let now = 0
  const terminal = openTerminal({ print: out, warn: err }, () => now)
  for (; now < 12_000; now += 1000) terminal.passing(`${now / 1000} s`, 'print')
  terminal.print('half')
  for (; now < 18_000; now += 1000) terminal.passing(`${now / 1000} s`, 'warn')
  terminal.warn('done')
  t.equal(out.text, '5 s\n10 s\nhalf\n')
  t.equal(err.text, '17 s\ndone\n')
})

t.test('on a screen the next line takes its place, wherever that goes', async (t) => {
  const [out, err] = [sheet(20), sheet(20)]
  const terminal = openTerminal({ print: out, warn: err })
  terminal.passing('1 %', 'print')
  terminal.passing(`2 % ${'x'.repeat(40)}`, 'print')
  t.equal(out.text, `1 %\r\u001b[K2 % ${'x'.repeat(15)}`)
  terminal.warn('done')
  terminal.print('really')
  t.equal(out.text, `1 %\r\u001b[K2 % ${'x'.repeat(15)}\r\u001b[Kreally\n`)
  t.equal(err.text, 'done\n')
})
