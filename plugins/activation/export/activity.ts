import { stringify } from 'csv-stringify/sync'
import { everyone } from '../roll/everyone.js'
import type { Service } from '../service.js'

const columns = ['serial', 'school', 'group', 'first', 'last', 'count', 'answer', 'until'] as const

/** When each laptop asked and what it got, as CSV with a heading: no uuids, and no cell is a formula. */
export function activity({ sources, visits }: Pick<Service, 'sources' | 'visits'>): string {
  const rows = [...everyone(sources)]
    .sort((a, b) => (a.serial < b.serial ? -1 : 1))
    .map(({ serial, laptop }) => {
      const { school, group } = laptop ?? {}
      const facts: { readonly [K in (typeof columns)[number]]?: string | number | undefined } = {
        ...{ serial, school, group },
        ...visits.get(serial),
      }
      return columns.map((column) => guard(String(facts[column] ?? '')))
    })
  return stringify([[...columns], ...rows])
}

// Spreadsheets run cells that begin with these, blanks before them or not, and their full-width kin.
const formula = /^[\s\ufeff']*[=+\-@\uff1d\uff0b\uff0d\uff20]|^[\t\r]/

/** The apostrophe in front makes it text. */
const guard = (cell: string): string => (formula.test(cell) ? `'${cell}` : cell)
