import { integer, list, type Option, port } from '../../core/api.js'
import { SchoolCalendar } from './calendar/calendar.js'
import { parseHints } from './doors/hints.js'

type Words = Option<readonly string[]>

/** Has a mistake in a list named with all the others, before anything starts. */
const checked = (option: Words, check: (words: readonly string[]) => unknown): Words => ({
  ...option,
  read(text, reading) {
    const words = option.read(text, reading)
    check(words)
    return words
  },
})

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri']

export const options = {
  'activation-port': port({
    help: 'Port where laptops ask for their lease at boot; they have 191 built in.',
    default: 191,
  }),
  'activation-days': integer({
    help: 'Days that a lease signed here lasts, where a laptop or its group has no number of its own.',
    default: 21,
    min: 1,
    max: 3650,
    placeholder: 'DAYS',
  }),
  'school-days': checked(
    list({
      help: 'Days of the week on which there is school: leases end on one of them, at 6 in the morning, local time.',
      default: weekdays,
      placeholder: 'DAY,DAY',
    }),
    (words) => SchoolCalendar.parse(words, []),
  ),
  'school-holidays': checked(
    list({
      help: 'Days without school, YYYY-MM-DD or YYYY-MM-DD..YYYY-MM-DD: leases last past them.',
      default: [],
      placeholder: 'DAY,FROM..TO',
    }),
    (words) => SchoolCalendar.parse(weekdays, words),
  ),
  'oats-hints': checked(
    list({
      help: 'What laptops are told besides, over OATS: names and texts, as the images of the deployment know them.',
      default: [],
      placeholder: 'NAME=TEXT,...',
    }),
    parseHints,
  ),
}
