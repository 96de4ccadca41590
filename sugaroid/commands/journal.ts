import { defineCommand } from '../command.js'
import { UsageError } from '../errors.js'
import { exit } from '../exit.js'
import { changeJournal } from '../journal/change.js'
import { digestJournal } from '../journal/digest.js'
import { makeJournal, wipeJournal } from '../journal/journal.js'
import { datastoreOf } from '../journal/layout.js'
import { common, type Given, homeDirectory, numberOption, type Options } from '../options.js'
import { report, reportJson } from '../report.js'

const options = {
  ...common,
  entries: { value: 'N', help: 'make a Journal with so many entries' },
  megabytes: { value: 'M', help: 'how much data it holds altogether (default: 0.15 for each entry)' },
  seed: { value: 'TEXT', help: 'the same seed makes the same Journal and the same changes (default: 1)' },
  change: { value: 'PERCENT', help: 'change so much of it: titles, data, new entries, few removed' },
  wipe: { help: 'lose all entries, but not the key; with --entries, then make a new Journal' },
} as const satisfies Options

/** What the options ask for, checked before anything is touched. */
function wishes({ entries, megabytes, change, wipe }: Given<typeof options>) {
  if (entries === undefined && change === undefined && !wipe) {
    throw new UsageError('nothing to do', 'write --entries N, --change PERCENT or --wipe')
  }
  if (change !== undefined && (entries !== undefined || wipe)) {
    throw new UsageError('--change goes alone', 'make the Journal first, then change it')
  }
  if (megabytes !== undefined && entries === undefined) {
    throw new UsageError('--megabytes goes with --entries', 'write --entries N --megabytes M')
  }
  const number = (name: string, text: string | undefined, least: number, most: number, whole = false) =>
    text === undefined ? undefined : numberOption(name, text, { least, most, whole })
  const count = number('entries', entries, 1, 100_000, true)
  const size = number('megabytes', megabytes, 0, 100_000)
  return {
    make: count === undefined ? undefined : { entries: count, megabytes: size },
    percent: number('change', change, 0.01, 100),
    wipe,
  }
}

export const command = defineCommand({
  summary: 'make, change or lose a Journal, as a child does over a year, a day, or at a reflash',
  options,
  async run(given, terminal) {
    const datastore = datastoreOf(homeDirectory(given.home))
    const { make, percent, wipe } = wishes(given)
    const { seed } = given
    if (wipe) await wipeJournal(datastore)
    if (make) await makeJournal(datastore, { ...make, seed })
    const changes = percent === undefined ? undefined : await changeJournal(datastore, { percent, seed })
    const { sha256: digest, files, bytes } = await digestJournal(datastore)
    if (given.json) reportJson(terminal, { datastore, files, bytes, digest, ...changes })
    else {
      const counts = Object.entries(changes ?? {}).map(([kind, count]) => [kind, String(count)])
      report(terminal, {
        title: changes ? 'A day at school is over.' : make ? 'A Journal is there.' : 'The Journal is gone.',
        datastore,
        ...Object.fromEntries(counts),
        files: String(files),
        megabytes: (bytes / 1e6).toFixed(1),
        digest,
      })
    }
    return exit.OK
  },
})
