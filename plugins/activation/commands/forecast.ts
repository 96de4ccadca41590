import { asError, type Call, type Column, RequestError } from '../../../core/api.js'
import { type Holiday, parseHoliday } from '../calendar/calendar.js'
import { dayOf } from '../calendar/day.js'
import type { Service } from '../service.js'
import { type Forecast, forecastOf, overHoliday, type Row } from '../survey/forecast.js'
import { survey } from '../survey/survey.js'

const columns: readonly Column<Row>[] = [
  { title: 'DAY', text: ({ day }) => day },
  { title: 'LAPTOPS', text: ({ laptops }) => String(laptops) },
  { title: 'WHY', text: ({ why }) => why },
]

type ForecastCall = Pick<Call, 'list' | 'note'> & {
  readonly args: { readonly to: string | undefined }
  readonly options: { readonly days: number; readonly holiday: string }
}

/** `activation forecast [--days N] [--holiday FROM TO]` */
export async function forecast(service: Service, { args, options, list, note }: ForecastCall): Promise<void> {
  const { rows, notes } = await forecastFor(service, args.to, options)
  list(rows, columns)
  for (const line of notes) note(line)
}

async function forecastFor(
  { sources, calendar, decision }: Service,
  to: string | undefined,
  { days, holiday }: ForecastCall['options'],
): Promise<Forecast> {
  const now = decision.now()
  if (holiday !== '') return overHoliday(sources, calendar, holidayOf(holiday, to, now), now)
  if (to !== undefined) throw usage(`"${to}" is said without --holiday`)
  return forecastOf(await survey(sources, now), dayOf(now) + days)
}

function holidayOf(from: string, to: string | undefined, now: Date): Holiday {
  if (to === undefined) throw usage(`--holiday ${from} has no last day`)
  let holiday: Holiday
  try {
    holiday = parseHoliday(`${from}..${to}`)
  } catch (error) {
    throw usage(`--holiday ${asError(error).message}`)
  }
  if (holiday.from <= dayOf(now)) throw usage(`the holiday from ${from} on has begun`)
  return holiday
}

const usage = (message: string): RequestError =>
  new RequestError('USAGE', message, { hint: 'say "--holiday FROM TO", both YYYY-MM-DD, days to come' })
