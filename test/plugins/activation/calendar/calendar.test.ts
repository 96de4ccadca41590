import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import t from 'tap'
import { boot } from '../../../../core/testing.js'
import { SchoolCalendar } from '../../../../plugins/activation/calendar/calendar.js'
import {
  dayOf,
  formatDay,
  momentOf,
  parseDay,
  timeText,
  weekdayOf,
} from '../../../../plugins/activation/calendar/day.js'
import { parseHints } from '../../../../plugins/activation/doors/hints.js'
import activation from '../../../../plugins/activation/plugin.js'
import { runs } from '../../../support/rounds.js'

const week = ['mon', 'tue', 'wed', 'thu', 'fri']
const at = (text: string): Date => new Date(text)

t.test(
  'a lease ends at six in the morning of a day of school, and never sooner than it was asked for',
  async (t) => {
    const calendar = SchoolCalendar.parse(week, ['2026-12-19..2027-01-10', '2026-12-08'])
    const end = (now: string, days: number) => timeText(calendar.endOfLease(at(now), days))
    t.equal(
      end('2026-11-20T10:00:00', 3),
      '2026-11-24 06:00',
      'Friday and three days is Monday at 10: Tuesday',
    )
    t.equal(end('2026-11-20T05:00:00', 3), '2026-11-23 06:00', 'before six it is that day itself')
    t.equal(end('2026-11-20T06:00:00', 3), '2026-11-23 06:00', 'at six, too')
    t.equal(end('2026-11-20T06:00:01', 3), '2026-11-24 06:00', 'and a second later it is not')
    t.equal(end('2026-11-20T10:00:00', 1), '2026-11-23 06:00', 'past a weekend')
    t.equal(end('2026-12-07T05:30:00', 1), '2026-12-09 06:00', 'past a day without school')
    t.equal(end('2026-12-18T08:00:00', 1), '2027-01-11 06:00', 'past the holidays, whose ends are among them')
    t.equal(end('2026-11-27T08:00:00', 21), '2027-01-11 06:00')
  },
)

t.test('any calendar gives a day of school, not too early, and no earlier one would do', async () => {
  const day = fc.integer({ min: 20_000, max: 22_000 })
  const holiday = fc
    .tuple(day, fc.nat(90))
    .map(([from, more]) => `${formatDay(from)}..${formatDay(from + more)}`)
  const weekdays = fc.subarray(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'], { minLength: 1 })
  fc.assert(
    fc.property(
      weekdays,
      fc.array(holiday, { maxLength: 10 }),
      fc.tuple(day, fc.nat(86_399)),
      fc.integer({ min: 1, max: 60 }),
      (days, holidays, [today, second], length) => {
        const calendar = SchoolCalendar.parse(days, holidays)
        const isSchool = (one: number) =>
          days.includes(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'][weekdayOf(one)] ?? '') &&
          !holidays.some((word) => {
            const [from = '', to = ''] = word.split('..')
            return formatDay(one) >= from && formatDay(one) <= to
          })
        const now = new Date(momentOf(today, 0).getTime() + second * 1000)
        const asked = now.getTime() + length * 86_400_000
        const end = calendar.endOfLease(now, length)
        if (end.getHours() !== 6 || end.getMinutes() !== 0 || end.getTime() < asked || !isSchool(dayOf(end)))
          return false
        for (let one = dayOf(end) - 1; momentOf(one, 6).getTime() >= asked; one -= 1)
          if (isSchool(one)) return false
        const before = calendar.before(today)
        if (!isSchool(before) || before >= today) return false
        for (let one = before + 1; one < today; one += 1) if (isSchool(one)) return false
        return true
      },
    ),
    runs(500),
  )
})

t.test('clocks that are put forward or back do not move the hour', async (t) => {
  const script = `
    import { SchoolCalendar } from ${JSON.stringify(new URL('../../../../plugins/activation/calendar/calendar.js', import.meta.url).href)}
    const calendar = SchoolCalendar.parse(['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'], [])
    const found = process.argv.slice(1).map((text) => calendar.endOfLease(new Date(text), 1).toISOString())
    process.stdout.write(JSON.stringify(found))`
  const inZone = (TZ: string, ...times: string[]): string[] =>
    JSON.parse(
      execFileSync(process.execPath, ['--input-type=module', '-e', script, ...times], {
        env: { ...process.env, TZ },
        encoding: 'utf8',
        timeout: 20_000,
      }),
    )
  t.same(inZone('Europe/Berlin', '2026-03-28T04:00:00Z', '2026-03-28T05:00:00Z', '2026-03-28T05:00:01Z'), [
    '2026-03-29T04:00:00.000Z',
    '2026-03-30T04:00:00.000Z',
    '2026-03-30T04:00:00.000Z',
  ])
  t.same(inZone('Europe/Berlin', '2026-10-24T04:00:00Z', '2026-10-24T05:30:00Z'), [
    '2026-10-25T05:00:00.000Z',
    '2026-10-26T05:00:00.000Z',
  ])
  t.same(inZone('America/Lima', '2026-03-28T11:00:00Z'), ['2026-03-29T11:00:00.000Z'])
  t.same(inZone('Asia/Kathmandu', '2026-03-28T00:15:00Z'), ['2026-03-29T00:15:00.000Z'])
})

t.test('a mistake in the calendar or the hints stops the start, and is named', async (t) => {
  const mistakes: [string, string, RegExp][] = [
    ['school-days', 'mon,monday', /school-days.*"monday"/],
    ['school-days', '', /school-days.*at least one day/],
    ['school-holidays', '2026-02-30', /school-holidays.*"2026-02-30"/],
    ['school-holidays', '2026-12-24..2026-12-01', /ends before it begins/],
    ['school-holidays', '2026-01-01..2028-01-01', /longer than a year/],
    ['school-holidays', '2026-01-01..2026-01-02..2026-01-03', /must be made of days/],
    ['oats-hints', 'nonce=1', /"nonce"/],
    ['oats-hints', 'Update=1', /"Update=1"/],
    ['oats-hints', 'a=1,a=2', /"a" twice/],
    ['oats-hints', 'word', /NAME=TEXT/],
  ]
  for (const [name, text, says] of mistakes)
    await t.rejects(
      boot({ plugins: [activation], settings: { [name]: text } }),
      { message: says },
      `${name} = ${text}`,
    )
  t.same(parseHints(['os=http://x/os.zip?a=b', 'empty=']), { os: 'http://x/os.zip?a=b', empty: '' })
})

t.test('days are those of the calendar', async (t) => {
  for (const text of ['2026-02-29', '2026-13-01', '20261120', '0999-01-01', '2026-1-1', ' 2026-01-01'])
    t.equal(parseDay(text), undefined, text)
  for (const text of ['2024-02-29', '1999-12-31', '2026-11-20']) t.equal(formatDay(parseDay(text) ?? 0), text)
  t.equal(weekdayOf(parseDay('2026-11-20') ?? 0), 5, 'a Friday')
})
