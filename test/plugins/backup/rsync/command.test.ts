import fc from 'fast-check'
import t from 'tap'
import { RequestError } from '../../../../core/api.js'
import { markerFile, serverArguments } from '../../../../plugins/backup/rsync/arguments.js'
import { parseCommand, type RsyncCommand } from '../../../../plugins/backup/rsync/command.js'
import { runs } from '../../../support/rounds.js'

const parsed = (text: string): RsyncCommand | RequestError => {
  try {
    return parseCommand(text)
  } catch (error) {
    if (error instanceof RequestError && error.code === 'REFUSED') return error
    throw error
  }
}

t.test('what laptops of every age send is taken, to the letter', async (t) => {
  const peer = 'e.iLsfxCIvu'
  const lines = [
    // Old laptops, with rsync 3.5.0, 3.0.9 and 2.6.9.
    `rsync --server -ltrz${peer} --timeout=160 --delete --partial . datastore-current`,
    'rsync --server -ltrze.iLsf --timeout=160 --delete --partial . datastore-current',
    'rsync --server -ltrz --timeout=160 --delete --partial . datastore-current',
    'rsync --server -ltrz --timeout=160 --delete --partial . power-logs',
    'rsync --server -ltrz --timeout=160 --delete --partial . documents',
    `rsync --server --sender -ltrz${peer} --timeout=160 . datastore-current`,
    'rsync --server --sender -ltrz . datastore-current/',
    // rsync -a, -aHz, -avvP, -rlptz, -n, and so on.
    `rsync --server -logDtpr${peer} . datastore-current`,
    `rsync --server -lHogDtprz${peer} . current`,
    `rsync --server -vvlogDtpr${peer} --log-format=X --partial . current/`,
    `rsync --server -nlogDtpr${peer} --log-format=%i . datastore-current`,
    `rsync --server -lOogDtprSI${peer} --delete-delay --bwlimit=100 . datastore-current`,
    `rsync --server -logDtpr${peer} --delete-excluded --force --max-delete=5 --numeric-ids . documents`,
    `rsync --server -lWogDtprc${peer} --compress-choice=zstd --compress-level=3 --stats . documents`,
    `rsync --server -logDtpr${peer} -B1024 --size-only --modify-window=1 --info=ALL2 . documents`,
    `rsync --server -logDtpr${peer} --new-compress --max-size=102400 --min-size=1 --ignore-existing . documents`,
    `rsync --server --sender -logDtpre.LsfxCIvu . snapshots/2026-11-20T10:00:00Z/datastore/ab/`,
    // rsync HOST:snapshots/
    'rsync --server --sender -de.LsfxCIvu . snapshots/',
    'rsync --server --sender --list-only -re.iLsf . snapshots/',
    'rsync --server -e.LsfxCIvu . documents',
    'rsync --server -ltre31.14iLsfxCIvu . documents',
  ]
  for (const line of lines) {
    const command = parsed(line)
    if (command instanceof RequestError) {
      t.fail(`${line}: ${command.message}`)
      continue
    }
    const { direction, options, path } = command
    const sender = direction === 'pull' ? ['--sender'] : []
    t.equal(['rsync', '--server', ...sender, ...options, '.', path].join(' '), line)
  }
})

t.test('the marker of old laptops is taken, and its /tmp becomes ours', async (t) => {
  const marker = '/var/lib/ds-backup/completion/SHC00000000'
  for (const temporary of ['--temp-dir /tmp', '--temp-dir=/tmp', '-T /tmp']) {
    const command = parseCommand(`rsync --server -e.iLsf --timeout=10 ${temporary} . ${marker}`)
    t.same(command.place, { kind: 'marker', serial: 'SHC00000000' })
    t.same(command.options, ['-e.iLsf', '--timeout=10'])
    const args = serverArguments(command, { temporary: '/r/temporary', log: '/r/log' })
    t.equal(args.at(-1), markerFile)
    t.ok(args.includes('--temp-dir=/r/temporary'))
    t.ok(args.includes('--max-size=4096'))
    t.notOk(args.join(' ').includes('/tmp '))
  }
  for (const wrong of [
    `rsync --server -lt --temp-dir /etc . ${marker}`,
    `rsync --server -lt --temp-dir=/tmp/x . ${marker}`,
    `rsync --server -lt -T . ${marker}`,
    'rsync --server -lt -T /tmp . datastore-current',
    'rsync --server -lt --temp-dir=/tmp . datastore-current',
    `rsync --server --sender -lt . ${marker}`,
    `rsync --server -lt . ${marker}/`,
    `rsync --server -lt . ${marker}/../../x`,
    'rsync --server -lt . /var/lib/ds-backup/completion/..',
    'rsync --server -lt . /var/lib/ds-backup/completion/',
  ]) {
    t.ok(parsed(wrong) instanceof RequestError, wrong)
  }
})

t.test('a client may be less patient than we are, and never more', async (t) => {
  const patienceOf = (options: string) =>
    serverArguments(parseCommand(`rsync --server -ltr ${options}. datastore-current`), {
      temporary: '/t',
      log: '/l',
    }).findLast((arg) => arg.startsWith('--timeout='))
  for (const [options, seconds] of [
    ['', 300],
    ['--timeout=0 ', 300],
    ['--timeout=160 --timeout=0 ', 300],
    ['--timeout=160 ', 160],
    ['--timeout=9999 --timeout=10 ', 10],
    ['--timeout=9999 ', 300],
  ] as const)
    t.equal(patienceOf(options), `--timeout=${seconds}`, options)
  t.equal(parseCommand('rsync --server -ltr --timeout=160 . documents').timeout, 160)
})

t.test('a trial is known as one, and nothing else is', async (t) => {
  for (const [options, isTrial] of [
    ['-nltr', true],
    ['-vvnlogDtpre.iLsfxCIvu', true],
    ['-ltr -n', true],
    ['-ltr --list-only', true],
    ['-ltre.iLsfxCIvun', false],
    ['-ltr --numeric-ids --no-r', false],
  ] as const)
    t.equal(parseCommand(`rsync --server ${options} . datastore-current`).isTrial, isTrial, options)
})

const server = 'rsync --server -ltrze.iLsfxCIvu'
const hostile: [command: string, says: RegExp][] = [
  ['', /only rsync/],
  ['sh', /only rsync/],
  ['rsync', /only rsync/],
  ['rsync --daemon .', /only rsync/],
  ['scp -t datastore-current', /only rsync/],
  ['/usr/lib/openssh/sftp-server', /only rsync/],
  [' rsync --server -ltr . documents', /only rsync/],
  ['rsync  --server -ltr . documents', /only rsync/],
  ['RSYNC_RSH=sh rsync --server -ltr . documents', /only rsync/],
  ['rsync --sender --server -ltr . documents', /only rsync/],
  ['rsync --server --daemon --config=/etc/rsyncd.conf .', /no directory/],
  ['rsync --server --daemon . documents', /--daemon .*no daemon/],
  ['rsync --server --config=/x . documents', /--config/],
  [`${server} . ../bob`, /a name in the path/],
  [`${server} . datastore-current/../../bob`, /a name in the path/],
  [`${server} . datastore-current/.`, /a name in the path/],
  [`${server} . datastore-current//`, /a name in the path/],
  [`${server} . .`, /a name in the path/],
  [`${server} . ~/x`, /character ~/],
  [`${server} . /etc/passwd`, /absolute/],
  [`${server} . /`, /absolute/],
  [`${server} . datastore-current documents`, /more than one path/],
  [`${server} .`, /names no directory/],
  [`${server} . `, /space/],
  [`${server}  . documents`, /space/],
  [`${server} datastore-current`, /no "\."/],
  [`${server} . datastore-currents`, /no directory of this name/],
  [`${server} . Datastore-current`, /no directory of this name/],
  [`${server} . snapshots/2026-11-20`, /snapshots cannot be changed/],
  [`${server} . datastore-current/ab`, /only the whole/],
  [`${server} . snapshots/`, /snapshots cannot be changed/],
  ['rsync --server --sender -ltr . snapshots//', /a name in the path/],
  ['rsync --server --sender -ltr . snapshots/../x', /a name in the path/],
  [`rsync --server --sender -ltr . snapshots/${'1'.repeat(41)}`, /not the name of a snapshot/],
  ['rsync --server --sender -ltr . snapshots/2026.11', /not the name of a snapshot/],
  ['rsync --server --sender -ltr . datastore-current/.git', /a name in the path/],
  ['rsync --server --sender -ltr . datastore-current/-x', /a name in the path/],
  [`${server} . documents; id`, /character ;/],
  [`${server} . documents\nid`, /plain ASCII/],
  [`${server} . documents\0`, /plain ASCII/],
  [`${server} . dokumentë`, /plain ASCII/],
  [`${server} . $(id)`, /character \$/],
  [`${server} . documents|id`, /character \|/],
  [`${server} . 'documents'`, /character '/],
  [`${server} . docu\\ments`, /character \\/],
  [`${server} . doc*`, /character \*/],
  ...[
    ['--inplace', /in place/],
    ['--append', /in place/],
    ['--append-verify', /in place/],
    ['--write-devices', /in place/],
    ['--copy-devices', /devices/],
    ['--backup', /older versions/],
    ['--backup-dir=x', /older versions/],
    ['--backup-dir x', /older versions/],
    ['-b', /older versions/],
    ['--link-dest=../bob', /another place/],
    ['--copy-dest=../bob', /another place/],
    ['--compare-dest=../bob', /another place/],
    ['--log-file=x', /another place/],
    ['--partial-dir=.p', /another place/],
    ['--partial-dir .p', /another place/],
    ['--temp-dir=/etc', /another place/],
    ['--temp-dir /etc', /another place/],
    ['-T /etc', /-T/],
    ['--files-from=-', /another place/],
    ['--only-write-batch=x', /another place/],
    ['--remove-source-files', /deletes/],
    ['--remove-sent-files', /deletes/],
    ['--delete-missing-args', /deletes/],
    ['-s', /secluded/],
    ['--secluded-args', /secluded/],
    ['--copy-links', /follows links/],
    ['--copy-unsafe-links', /follows links/],
    ['-L', /follows links/],
    ['-k', /follows links/],
    ['-K', /through links/],
    ['-R', /one directory/],
    ['--relative', /one directory/],
    ['--mkpath', /one directory/],
    ['-A', /access control/],
    ['-X', /extended attributes/],
    ['-y', /fuzzy/],
    ['--fuzzy', /fuzzy/],
    ['--delay-updates', /older versions/],
    ['--iconv=UTF-8', /names are kept/],
    ['--super', /not one that a backup needs/],
    ['--fake-super', /not one that a backup needs/],
    ['--usermap=0:0', /not one that a backup needs/],
    ['--no-munge-links', /not one that a backup needs/],
    ['--sender', /not one that a backup needs/],
    ['--server', /not one that a backup needs/],
    ['--debug=FILTER2', /tells too much/],
    ['--delete=x', /takes no value/],
    ['--timeout', /value/],
    ['--timeout=x', /value/],
    ['--timeout=99999', /value/],
    ['--log-format=%n', /value/],
    ['--', /--/],
    ['-', /-/],
    ['-e', /-e/],
    ['-esh', /-e is refused/],
    ['-e.iLs/bin/sh', /-e/],
    ['-ltrze.iLs-x', /-ltrz/],
    ['-M--inplace', /-M--inplace/],
    ['-Z', /-Z/],
    ['documents', /documents/],
  ].map(([option, says]): [string, RegExp] => [`${server} ${option} . documents`, says as RegExp]),
]

t.test('what nobody needs for a backup is refused, with the reason and what is taken', async (t) => {
  for (const [command, says] of hostile) {
    const refusal = parsed(command)
    if (!(refusal instanceof RequestError)) {
      t.fail(`taken: ${command}`)
      continue
    }
    t.match(refusal.message, says, command)
    t.ok(refusal.hint !== undefined && refusal.hint !== '')
    t.ok(refusal.message.length < 200)
  }
  t.ok(parsed(`${server} ${'-v '.repeat(3000)}. documents`) instanceof RequestError)
  t.ok(parsed(`${server} ${'-v '.repeat(70)}. documents`) instanceof RequestError)
})

const allowed =
  /^(-[vqclogDtprzHWxIunSOJdm]*(e\d{0,3}\.\d{0,3}[A-Za-z]{0,20})?|-B\d{1,6}|--(delete(-(after|before|delay|during|excluded))?|partial|compress|force|numeric-ids|stats|timeout=\d{1,4}|bwlimit=[\d.]+|info=\w+))$/
const inside =
  /^(datastore-current|current|documents|power-logs|snapshots|snapshots\/[A-Za-z0-9][A-Za-z0-9:_-]{0,39})(\/[A-Za-z0-9_][A-Za-z0-9_.,:+@=-]*)*\/?$/

t.test('whatever comes is refused, or each of its words is one that was allowed', async (t) => {
  const word = fc.oneof(
    fc.constantFrom(
      '-ltr',
      '-ltrze.iLsfxCIvu',
      '--delete',
      '--partial',
      '--timeout=160',
      '--bwlimit=9',
      '-B9',
    ),
    fc.constantFrom(
      '--inplace',
      '-T',
      '/tmp',
      '--temp-dir=/tmp',
      '--sender',
      '.',
      '..',
      '-',
      '--',
      '',
      'x',
      '-L',
    ),
    fc.stringMatching(/^-[A-Za-z.]{1,8}$/),
    fc.string({ maxLength: 8 }),
  )
  const path = fc.oneof(
    fc.constantFrom(
      'datastore-current',
      'current/',
      'documents',
      'snapshots/1',
      '../x',
      '/etc',
      'documents/..',
    ),
    fc.constant('/var/lib/ds-backup/completion/SHC1'),
    fc
      .array(fc.constantFrom('..', '.', '', 'documents', 'snapshots', 'a', '.b'), { maxLength: 4 })
      .map((parts) => parts.join('/')),
    fc.string({ maxLength: 12 }),
  )
  const command = fc
    .tuple(
      fc.constantFrom('rsync --server', 'rsync --server --sender', 'sh'),
      fc.array(word, { maxLength: 4 }),
      path,
    )
    .map(([start, words, end]) => [start, ...words, '.', end].join(' '))
  let taken = 0
  const holds = (text: string) => {
    const got = parsed(text)
    if (got instanceof RequestError) return true
    taken += 1
    const args = serverArguments(got, { temporary: '/t', log: '/l' })
    const own =
      /^(--server|--sender|--munge-links|--msgs2stderr|--no-super|--no-inc-recursive|--chmod=Du\+rx,Fu\+r|--copy-dirlinks|--temp-dir=\/t|--log-file=\/l|--log-file-format=%i %l|--partial-dir=\.rsync-partial|--filter=-p \.rsync-partial\/|--no-sparse|--max-size=4096|--timeout=\d{1,3})$/
    const dot = args.lastIndexOf('.')
    const last = args[dot + 1] ?? ''
    return (
      dot === args.length - 2 &&
      args.slice(0, dot).every((arg) => allowed.test(arg) || own.test(arg)) &&
      (last === markerFile || inside.test(last)) &&
      !last.split('/').includes('..')
    )
  }
  fc.assert(fc.property(command, holds), runs(3000))
  fc.assert(fc.property(fc.string({ unit: 'binary' }), holds), runs(1000))
  t.ok(taken > runs(3000).numRuns / 60, `${taken} commands were taken`)
})
